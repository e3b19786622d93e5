// Hides what belongs to an engine, a size, a profile or faults whose box is not ticked.
const bar = document.querySelector("[data-filters]");
const boxes = bar ? [...bar.querySelectorAll("input[type=checkbox]")] : [];
const button = bar && bar.querySelector("button");
const said = bar && bar.querySelector("[role=status]");

function update() {
  const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.name + "=" + box.value));
  for (const kind of ["engine", "size", "profile", "faults"]) {
    for (const element of document.querySelectorAll("[data-" + kind + "]")) {
      element.classList.toggle("no-" + kind, off.has(kind + "=" + element.dataset[kind]));
    }
  }
  button.hidden = !off.size;
  said.textContent = off.size ? "Filtered: " + off.size + " of " + boxes.length + " hidden." : "";
}

if (bar) {
  bar.hidden = false;
  bar.addEventListener("change", update);
  button.addEventListener("click", () => {
    for (const box of boxes) box.checked = true;
    update();
    boxes[0].focus(); // the button is gone
  });
  update(); // a browser may have kept the boxes of an earlier visit
}
