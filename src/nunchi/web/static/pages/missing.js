// The page for addresses that lead nowhere.
import { link } from "../address.js";
import { Empty } from "../components/controls.js";
import { html } from "../view.js";

export function Page() {
  return html`<h1 class="visually-hidden">Not found</h1><${Empty} title="There is no page at this address">
    <bdi>${location.pathname}</bdi> leads nowhere. Go to the <a href=${link("/")} data-page>overview</a>.
  <//>`;
}
