// The buttons of cards in the gallery, and of the author's links to a share. The handlers are on the document, so that
// buttons that are inserted later work as well.
(() => {
  // Returns the response's JSON, or throws an Error whose message is a sentence.
  async function ask(slug, action, options) {
    let response;
    try {
      response = await fetch(`s/${slug}/${action}`, options);
    } catch {
      throw new Error("The server does not answer. Try again when you are online.");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.error ?? "That did not work. Try again in a moment.");
    return answer;
  }

  async function like(button) {
    const liked = button.getAttribute("aria-pressed") === "true";
    const answer = await ask(slugOf(button), "like", { method: liked ? "DELETE" : "PUT" });
    button.setAttribute("aria-pressed", answer.liked);
    button.querySelector("span").textContent = answer.likes;
    button.ariaLabel = button.ariaLabel.replace(/\d+ so far$/, `${answer.likes} so far`);
  }

  function report(button) {
    const dialog = document.createElement("dialog");
    dialog.className = "report-dialog";
    dialog.ariaLabel = "Report this share";
    // it contains no part of the share
    dialog.innerHTML = `<form method="dialog"><label for="report-reason">What is wrong with this share?</label>
      <textarea id="report-reason" maxlength="500" rows="4" required></textarea>
      <p><button type="submit" value="send">Send report</button>
      <button type="submit" value="cancel" formnovalidate>Cancel</button></p></form>`;
    dialog.addEventListener("close", async () => {
      const reason = dialog.querySelector("textarea").value;
      dialog.remove();
      if (dialog.returnValue === "send") await told(() => send(slugOf(button), reason));
    });
    document.body.append(dialog);
    dialog.showModal();
  }

  async function send(slug, reason) {
    const headers = { "Content-Type": "application/json" };
    const answer = await ask(slug, "report", { method: "POST", headers, body: JSON.stringify({ reason }) });
    santacoder.say(answer.message);
  }

  const slugOf = (button) => button.closest("[data-slug]").dataset.slug;

  async function told(action) {
    try {
      await action();
    } catch (error) {
      santacoder.say(error.message);
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (button?.matches(".card .like")) told(() => like(button));
    else if (button?.matches(".card .report")) report(button);
    else if (button?.matches(".copy-link")) santacoder.copy(button.previousElementSibling.value);
  });
})();
