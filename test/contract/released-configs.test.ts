import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'bun:test'
import { formatIssue } from '../../src/config/report.ts'
import { serveFile } from '../config/serve-file.ts'
import { sharedFolder } from './published.ts'

const shared = sharedFolder()
const folder = join(shared ?? '', 'fixtures/released-configs')
const files = shared ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml')) : []
/** `CORRAL_TABLE=1`: prints file → loads, starts, providers, warnings. `CORRAL_TABLE=warnings`: each warning too. */
const table = process.env['CORRAL_TABLE']
const rows: string[] = []

describe('[REL-10] every released configuration loads, starts and serves the providers that Corral has', () => {
  for (const file of files.toSorted()) {
    test(`[REL-10] ${file}`, async () => {
      const path = join(folder, file)
      const { expected, served, unserved, warnings, health } = await serveFile(path)
      rows.push(`| ${file} | yes | ${health === 200 ? 'yes' : 'no'} | ${served.join(', ') || 'none'} | ${warnings.length} |`)
      if (table === 'warnings') rows.push(...warnings.map((warning) => formatIssue({ ...warning, file: '  warning: line ' })))
      expect(health).toBe(200)
      expect(served).toEqual(expected)
      // One warning for each provider that is not served, at its place.
      const left = warnings.map((warning) => /^providers\.\w+\[\d+\](?=(\.provider_type)?$)/.exec(warning.path)?.[0]).filter(Boolean)
      expect(left).toEqual(expect.arrayContaining([...unserved]))
      expect(left).toHaveLength(unserved.length)
      expect(warnings.every(({ line }) => line > 0)).toBe(true)
    })
  }
})

afterAll(() => {
  if (table)
    console.log(['| file | loads | starts | providers that complete a chat | warnings |', '|---|---|---|---|---|', ...rows].join('\n'))
})

test('the released files are there, or their absence has been reported', () => {
  expect(shared === undefined || files.length === 88).toBe(true)
})
