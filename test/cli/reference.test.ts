import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { pages, root } from './pages.ts'

for (const [path, text] of Object.entries(pages)) {
  test(`${path} says what the code says; \`npm run docs\` writes it anew`, () => {
    expect(readFileSync(new URL(path, root), 'utf8')).toBe(text)
  })
}
