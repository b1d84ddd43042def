// The line that says what happened, and what went wrong.

let timer = null;

export function notice(text, lasting = false) {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.hidden = !text;
  clearTimeout(timer);
  if (text && !lasting) timer = setTimeout(() => notice(""), 8000);
}

export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notice(error.message);
    return null;
  }
}
