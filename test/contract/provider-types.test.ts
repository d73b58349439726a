import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { parse } from 'yaml'
import { plannedProviders, loadProviderDefinitions } from '../../src/providers/index.ts'
import { sharedFolder } from './published.ts'

const definitions = await loadProviderDefinitions()

test('[VEN-6] every provider type of the released configurations is known', () => {
  const folder = sharedFolder()
  if (!folder) return
  const root = join(folder, 'fixtures/released-configs')
  const known = new Set([...definitions, ...plannedProviders].map(({ api, type }) => `${api} ${type}`))
  const unknown = new Set<string>()
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'))
  expect(files.length).toBeGreaterThan(50)
  for (const file of files) {
    const { providers } = parse(readFileSync(join(root, file), 'utf8')) as {
      providers?: Record<string, { provider_type: string }[] | null>
    }
    for (const [api, entries] of Object.entries(providers ?? {})) {
      for (const { provider_type: type } of entries ?? []) if (!known.has(`${api} ${type}`)) unknown.add(`${api} ${type}`)
    }
  }
  expect([...unknown]).toEqual([])
})
