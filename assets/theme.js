// A button between light and dark. Streamlit keeps the choice for each address by which a browser comes in, so it
// is written for every page that the navigation names, and for the stage; without a choice the system decides.
const paths = () => [...document.querySelectorAll("header a[href]")].map((link) => new URL(link.href).pathname);

const isDark = () => {
  const [red, green, blue] = getComputedStyle(document.querySelector(".stApp")).backgroundColor.match(/\d+/g);
  return Number(red) + Number(green) + Number(blue) < 384;
};

export default function ({ parentElement }) {
  parentElement.querySelector("button").onclick = () => {
    const theme = JSON.stringify(isDark() ? "Light" : "Dark");
    for (const path of new Set([location.pathname, "/", "/present", ...paths()]))
      localStorage.setItem(`stActiveTheme-${path}-v2`, theme);
    location.reload();
  };
}
