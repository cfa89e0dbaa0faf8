/** Errors caused by the user's input; each message is a sentence for the user. */

/** A request that cannot be fulfilled, or an input that cannot be used. */
export class UserError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "UserError";
  }
}

/** A prompt that does not fit in the context and must not be truncated. */
export class PromptTooLong extends UserError {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "PromptTooLong";
  }
}

/**
 * The message of an error, or its name if the message is empty, with a full stop.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function asSentence(error) {
  const { message, name } = error instanceof Error ? error : { message: String(error), name: "Error" };
  return `${message.replace(/\.+$/, "") || name}.`;
}
