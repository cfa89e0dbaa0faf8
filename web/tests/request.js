/** A request as the vectors describe it: a long text is a part of it, and how often it is repeated. */

/** @param {Record<string, any>} fields */
export function fromPython(fields) {
  const { prefix, suffix, ...others } = fields;
  const whole = (/** @type {any} */ text) => (text?.repeated ? text.repeated.repeat(text.times) : text);
  return { ...others, prefix: whole(prefix), suffix: whole(suffix) ?? null };
}
