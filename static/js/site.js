// Small helps on top of pages that work without any of this.

const live = document.querySelector("[data-live]");

/** Put text on the clipboard; over plain HTTP browsers offer only the old way. */
async function toClipboard(element) {
  const text = element.textContent.trim();
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  getSelection().selectAllChildren(element);
  if (!document.execCommand("copy")) throw new Error("copying was refused");
}

/** Show and announce the outcome on the button, for two seconds. */
function report(button, state) {
  const label = (button.dataset.label ??= button.textContent);
  button.textContent = live.textContent = button.dataset[state];
  button.dataset.state = state;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = label;
    live.textContent = "";
    delete button.dataset.state;
  }, 2000);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", () =>
    toClipboard(source).then(() => report(button, "done"), () => report(button, "failed")),
  );
}

/** Mark what the reader has to replace, without touching the text. */
function markHoles() {
  const ranges = [];
  for (const code of document.querySelectorAll(".call code")) {
    const text = code.firstChild;
    for (const match of text.data.matchAll(/YOUR_[A-Z_]+|YYYY-MM/g)) {
      const range = new Range();
      range.setStart(text, match.index);
      range.setEnd(text, match.index + match[0].length);
      ranges.push(range);
    }
  }
  CSS.highlights.set("hole", new Highlight(...ranges));
}

if (globalThis.Highlight) markHoles();
