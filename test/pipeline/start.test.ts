import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret } from '../../src/secret.ts'
import { StartError, startServer } from '../../src/server.ts'
import { failureOf, testConfig, type ConfigParts } from '../../src/testing/index.ts'
import { silentLog } from '../../src/telemetry/logger.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'corral-start-'))
  await writeFile(join(folder, 'file'), 'not a folder, nor a database, but long enough to look like something')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const start = (parts: ConfigParts) => startServer(testConfig(parts), { log: silentLog })
const auth = { authenticators: [{ type: 'api_key' }] } as const
const keyPepper = new Secret('not-to-be-guessed-at-all')

const records = (path: string) => ({ backends: {}, records: { engine: 'sqlite', path }, recordsConfigured: true }) as const

describe('what keeps a server from starting', () => {
  const cases: [name: string, parts: () => ConfigParts, message: RegExp][] = [
    ['an address for others, and nobody authenticates', () => ({ server: { host: '0.0.0.0' } }), /no authentication is configured/],
    [
      'an audit log that cannot be written',
      () => ({ audit: { folder: join(folder, 'file', 'audit') } }),
      /The audit log in .* cannot be written/,
    ],
    ['a database that is none', () => ({ storage: records(join(folder, 'file')) }), /database/],
    ['a pepper that cannot be kept', () => ({ auth, home: join(folder, 'file') }), /pepper/],
  ]
  for (const [name, parts, message] of cases) {
    test(name, async () => {
      const error = await failureOf(start(parts()))
      expect(error).toBeInstanceOf(StartError)
      expect((error as StartError).message).toMatch(message)
      expect((error as StartError).remedy.length).toBeGreaterThan(10)
    })
  }
})

test('an address for others is served where callers have to authenticate', async () => {
  await using server = await start({ auth, keyPepper, server: { host: '0.0.0.0' } })
  const at = `http://127.0.0.1:${server.port}`
  expect([(await fetch(`${at}/v1/health`)).status, (await fetch(`${at}/v1/models`)).status]).toEqual([200, 401])
})
