// While Gradio draws the page, it looks for each component through all events. They are in a state of Svelte, which
// wraps plain objects in proxies, so that each of a hundred thousand accesses is recorded. Events never change: with a
// prototype of their own, Svelte leaves them alone, as it does with instances of classes. That saves a fifth of the
// processor time until the page is usable.
(() => {
  const prototype = Object.create(Object.prototype);
  window.gradio_config?.dependencies?.forEach((event) => Object.setPrototypeOf(event, prototype));
})();
