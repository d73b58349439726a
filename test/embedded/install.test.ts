import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)

interface Lock {
  packages: Record<string, { link?: boolean; resolved?: string }>
}

test('stubs for packages that are left out are found by every npm: run `node install/mend-lock.js` after `npm install`', () => {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock
  const links = Object.entries(packages).filter(([, { link }]) => link)
  expect(links.length).toBeGreaterThan(0)
  expect(links.filter(([, { resolved }]) => !resolved || !existsSync(new URL(`${resolved}/package.json`, root)))).toEqual([])
})

test('no GPU build of llama.cpp is installed', () => {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock
  const gpu = Object.entries(packages).filter(([place]) => /@node-llama-cpp\/.*(cuda|vulkan)/.test(place))
  expect(gpu.filter(([, { link }]) => !link)).toEqual([])
})
