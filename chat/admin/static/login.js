// Takes the one-time token from the fragment (which no server or proxy log ever sees), trades it for a session.
import { get, post } from "./api.js";

const message = document.getElementById("message");

function refuse(text) {
  message.textContent = text;
  document.getElementById("how").hidden = false;
}

async function signIn() {
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname); // not into the browser's history either
  try {
    if (token) {
      message.textContent = "Signing in…";
      await post("/admin/api/login", { token });
    } else {
      await get("/admin/api/session");
    }
    location.replace("/admin");
  } catch (error) {
    if (error.status === 401 && !token) refuse("You are not signed in.");
    else if (error.status === 401) refuse("This link was used already, or has expired.");
    else if (error.status === 429) refuse(`Too many attempts. Try again in ${error.retryAfterS} s.`);
    else refuse(`That did not work: ${error.message}`);
  }
}

signIn();
window.addEventListener("hashchange", signIn);
