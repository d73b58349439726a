import { expect, test } from 'bun:test'
import { dirname, join } from 'node:path'
import { shipped } from './source.ts'

const staticImport = /^(?:import|export)\s+(?!type\s)[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'/gm

/** Every module that is loaded with `entry`, without what is imported on use. */
function loadedWith(entry: string): Set<string> {
  const files = new Map(shipped().map((file) => [file.path, file.text]))
  const loaded = new Set<string>()
  const pending = [entry]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (loaded.has(path)) continue
    loaded.add(path)
    const text = files.get(path)
    if (text === undefined) continue
    for (const [, from, bare] of text.matchAll(staticImport)) {
      const target = from ?? bare ?? ''
      pending.push(target.startsWith('.') ? join(dirname(path), target) : target)
    }
  }
  return loaded
}

test('[RES-2] SQL, tokens and drivers are loaded by the servers that use them only', () => {
  const loaded = [...loadedWith('src/services.ts'), ...loadedWith('src/app.ts'), ...loadedWith('src/server.ts')]
  expect(loaded).toContain('src/storage/storage.ts')
  expect(loaded).toContain('zod')
  const heavy = ['kysely', 'pg', 'jose', 'oauth4webapi', 'src/storage/open.ts', 'src/auth/authentication.ts', 'src/quota/open.ts']
  expect(heavy.filter((module) => loaded.includes(module))).toEqual([])
})
