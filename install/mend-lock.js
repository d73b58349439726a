// Run after `npm install` has changed the lock: npm writes the local stand-ins of `overrides` there as if they lay inside the package that
// wanted them (`node_modules/node-llama-cpp/install/…`). npm 11 finds them all the same, npm 10 makes links that lead nowhere.
import { readFileSync, writeFileSync } from 'node:fs'

const path = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(path, 'utf8'))
const packages = new Map()
for (const [place, entry] of Object.entries(lock.packages)) {
  const inside = /(?:^|\/)(install\/[\w-]+-left-out)$/
  const home = inside.exec(place)?.[1]
  const target = entry.link ? inside.exec(entry.resolved)?.[1] : undefined
  if (home) packages.set(home, { version: '0.0.0', license: 'MIT', optional: true })
  else packages.set(place, target ? { ...entry, resolved: target } : entry)
}
lock.packages = Object.fromEntries([...packages].toSorted(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`)
