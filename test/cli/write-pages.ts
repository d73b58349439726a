// `npm run docs`: writes the generated pages.
import { mkdirSync, writeFileSync } from 'node:fs'
import { pages, root } from './pages.ts'

for (const [path, text] of Object.entries(pages)) {
  mkdirSync(new URL('.', new URL(path, root)), { recursive: true })
  writeFileSync(new URL(path, root), text)
  console.log(`Wrote ${path}`)
}
