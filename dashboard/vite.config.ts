import { defineConfig } from "vite";

// Names without hashes: the server sends an ETag with each file. Nothing inline: its policy for content forbids that.
export default defineConfig({
  root: "src",
  base: "/",
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  build: {
    target: "es2022", emptyOutDir: true, modulePreload: false, assetsInlineLimit: 0, reportCompressedSize: false,
    rollupOptions: { output: { entryFileNames: "app.js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" } },
  },
});
