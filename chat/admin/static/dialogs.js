// Questions and help, as modal dialogs: the browser keeps the focus inside and Escape closes them.
import { h } from "./dom.js";

const dialog = document.getElementById("dialog");

const KEYS = [
  ["1 2 3 4", "Overview, connections, conversations, push"],
  ["/", "Search connections"],
  ["s", "Choose what is shown: all, a node, a process"],
  ["[ ]", "Shorter or longer time range"],
  ["t", "Dark or light"],
  ["?", "This help"],
  ["Esc", "Close a dialog"],
];

function show(title, ...content) {
  dialog.setAttribute("aria-label", title);
  dialog.replaceChildren(h("h2", {}, title), ...content);
  dialog.returnValue = "";
  dialog.showModal();
}

export function showHelp() {
  if (dialog.open) return;
  show(
    "Keyboard",
    h("dl", { class: "keys" }, KEYS.map(([keys, text]) => [h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, text)]).flat()),
    h("div", { class: "actions" }, h("button", { type: "button", autofocus: true, onclick: () => dialog.close() }, "Close")),
  );
}

// The value of the chosen answer, or null. `choices`: [value, label] pairs, chosen among before `yes`.
export function confirmed({ title, text, yes, choices = [], danger = false }) {
  return new Promise((resolve) => {
    const radios = choices.map(([value, label], index) =>
      h("label", { class: "choice" }, h("input", { type: "radio", name: "choice", value, checked: index === 0 }), h("span", {}, label)),
    );
    const answer = () => dialog.querySelector("input[name=choice]:checked")?.value ?? "yes";
    show(
      title,
      h("p", {}, text),
      h("div", { class: "choices" }, radios),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", autofocus: true, onclick: () => dialog.close("") }, "Cancel"),
        h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close(answer()) }, yes),
      ),
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue || null), { once: true });
  });
}
