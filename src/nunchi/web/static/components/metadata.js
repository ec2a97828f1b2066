// What operators say of an agent: a form that saves the whole, and takes it back.
import { html, useState } from "../view.js";

const FIELDS = [["service_type", "Service"], ["namespace", "Namespace"], ["group", "Group"], ["machine", "Machine"], ["provider", "Provider"], ["mode", "Mode"], ["note", "Note"]];
const CHARACTERS_MAX = 256;

export function MetadataForm({ metadata, save, clear, onDone }) {
  const [edited, setEdited] = useState(metadata);
  const [error, setError] = useState(null);
  const isChanged = FIELDS.some(([name]) => (edited[name] ?? "") !== (metadata[name] ?? ""));
  const isEmpty = FIELDS.every(([name]) => !metadata[name]);
  async function run(event, act) {
    event.preventDefault();
    try {
      await act();
      setError(null);
      onDone();
    } catch (failure) {
      setError(failure);
    }
  }
  return html`<section class="card"><header class="card-head"><h2>Metadata</h2></header>
    <form class="metadata" onSubmit=${(event) => run(event, () => save(edited))}>
      ${FIELDS.map(([name, title]) => html`<label key=${name}><span class="muted">${title}</span>
        <input name=${name} maxlength=${CHARACTERS_MAX} value=${edited[name] ?? ""} onInput=${(event) => setEdited({ ...edited, [name]: event.target.value })} /></label>`)}
      ${error && html`<p class="field-error" role="alert">${error.message}</p>`}
      <div class="row"><button type="submit" class="primary" disabled=${!isChanged}>Save</button>
        <button type="button" disabled=${isEmpty} onClick=${(event) => run(event, clear)}>Clear</button></div>
    </form></section>`;
}
