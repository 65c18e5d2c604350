// A file that is too large is refused before it is sent. In here: `element`, `props` of the message; LIMIT, SENTENCE.
const units = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "bytes"]];
const words = (size) => {
  const [unit, name] = units.find(([unit]) => size >= unit) ?? [1, "bytes"];
  return `${Number((size / unit).toPrecision(3))} ${name}`;
};
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const look = (event) => {
  if (!event.target.closest?.("#video-in")) return;
  const files = [...(event.dataTransfer?.files ?? event.target.files ?? [])];
  const large = files.find((file) => file.size > LIMIT);
  if (!large) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if ("value" in event.target) event.target.value = "";
  const text = SENTENCE.replace("NAME", large.name).replace("SIZE", words(large.size));
  props.value = `<p class="fv-message fv-error" role="alert">${escaped(text)}</p>`;
};
document.addEventListener("change", look, true);
document.addEventListener("drop", look, true);
