// Bundles the page into one file, OUT (default dist/index.html), that needs nothing from anywhere else.
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? `${here}/dist/index.html`);

async function bundle(entry, options) {
  const result = await build({
    entryPoints: [`${here}/src/${entry}`],
    bundle: true,
    minify: true,
    write: false,
    legalComments: "inline",
    ...options,
  });
  return result.outputFiles[0].text;
}

const script = await bundle("main.ts", { format: "iife", target: "es2022" });
const style = await bundle("style.css", {});
const page = await readFile(`${here}/src/index.html`, "utf8");
// Functions as replacements: "$&" in minified code must stay what it is.
const html = page
  .replace("/* style */", () => style)
  .replace("/* script */", () => script.replaceAll("</script", "<\\/script"));
await mkdir(dirname(out), { recursive: true });
await writeFile(out, html);
