import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)

interface LockEntry {
  name?: string
  cpu?: string[]
  link?: boolean
  resolved?: string
  optionalDependencies?: Record<string, string>
}

interface Lock {
  packages: Record<string, LockEntry> & { '': LockEntry }
}

test('what stands in for packages that are left out is found by every npm: run `node install/mend-lock.js` after `npm install`', () => {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock
  const links = Object.entries(packages).filter(([, { link }]) => link)
  expect(links.length).toBeGreaterThan(0)
  expect(links.filter(([, { resolved }]) => !resolved || !existsSync(new URL(`${resolved}/package.json`, root)))).toEqual([])
})

test('no GPU build of llama.cpp is installed, here or where the package is a dependency', () => {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock
  const gpu = Object.entries(packages).filter(([place]) => /@node-llama-cpp\/.*(cuda|vulkan)/.test(place))
  // Each is an alias of a build for a platform that Bun does not run on: npm leaves optional packages of other platforms out.
  expect(gpu.length).toBeGreaterThan(0)
  expect(gpu.filter(([, { name, cpu }]) => name !== '@node-llama-cpp/linux-riscv64' || cpu?.join() !== 'riscv64')).toEqual([])
})

test('the aliases are for the version that node-llama-cpp requires, or npm would install both', () => {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as Lock
  const aliases = Object.entries(packages[''].optionalDependencies ?? {}).filter(([name]) => name.startsWith('@node-llama-cpp/'))
  const required = packages['node_modules/node-llama-cpp']?.optionalDependencies ?? {}
  expect(aliases).toEqual(aliases.map(([name]) => [name, `npm:@node-llama-cpp/linux-riscv64@${required[name]}`]))
})
