import { describe, expect, test } from 'bun:test'
import { sql } from 'kysely'
import type { PostgresBackend, SslMode } from '../../src/storage/config.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { engines } from '../../src/testing/engines.ts'
import { failureOf } from '../../src/testing/failure-of.ts'
import { proxyTo } from './proxy.ts'

const postgres = engines.find(({ name }) => name === 'postgres')
const caCertPath = process.env['CORRAL_TEST_POSTGRES_CA']

/** Whether the connection is encrypted; an error where there is none. */
async function encrypted(backend: PostgresBackend): Promise<boolean | string> {
  try {
    await using database = await openDatabase(backend)
    const asked = sql<{ ssl: number }>`select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()`
    const { rows } = await database.write((transaction) => asked.execute(transaction))
    return rows[0]?.ssl === 1
  } catch (error) {
    expect(error).toMatchObject({ name: expect.stringMatching(/^(ApiError|StorageError)$/) as string })
    return 'refused'
  }
}

if (postgres && caCertPath) {
  describe('ssl_mode', () => {
    const table: readonly (readonly [SslMode | undefined, Partial<PostgresBackend>, boolean | string])[] = [
      [undefined, {}, true],
      ['disable', {}, false],
      ['allow', {}, false],
      ['prefer', {}, true],
      ['require', {}, true],
      ['require', { caCertPath }, true],
      ['require', { host: '127.0.0.2', caCertPath }, true],
      ['verify-ca', { caCertPath }, true],
      ['verify-ca', { host: '127.0.0.2', caCertPath }, true],
      ['verify-ca', {}, 'refused'],
      ['verify-full', { caCertPath }, true],
      ['verify-full', { host: '127.0.0.2', caCertPath }, 'refused'],
      ['verify-full', {}, 'refused'],
      ['verify-full', { caCertPath: '/nowhere/ca.pem' }, 'refused'],
    ]
    for (const [sslMode, over, expected] of table) {
      const where = Object.entries(over).map(([key, value]) => `${key} ${key === 'host' ? String(value) : 'given'}`)
      test(`[STO-21] ${[sslMode ?? 'absent', ...where].join(', ')}: ${expected === 'refused' ? expected : expected ? 'encrypted' : 'plain'}`, async () => {
        await using place = await postgres.fresh()
        expect(await encrypted({ ...(place.backend as PostgresBackend), sslMode, ...over })).toBe(expected)
      })
    }

    test('[STO-21] with a server that has no TLS: allow and prefer are plain, the others refuse', async () => {
      await using place = await postgres.fresh()
      const backend = place.backend as PostgresBackend
      await using proxy = await proxyTo(backend, { withoutTls: true })
      const outcomes: Partial<Record<SslMode, boolean | string>> = {}
      for (const sslMode of ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const) {
        outcomes[sslMode] = await encrypted({ ...backend, port: proxy.port, sslMode, caCertPath })
      }
      expect(outcomes).toEqual({
        disable: false,
        allow: false,
        prefer: false,
        require: 'refused',
        'verify-ca': 'refused',
        'verify-full': 'refused',
      })
    })

    test('an unreadable certificate is reported with its path and configuration key', async () => {
      await using place = await postgres.fresh()
      const wrong = { ...(place.backend as PostgresBackend), sslMode: 'verify-full', caCertPath: '/nowhere/ca.pem' } as const
      expect(await failureOf(openDatabase(wrong))).toMatchObject({
        name: 'StorageError',
        message: 'The certificate /nowhere/ca.pem (ca_cert_path) cannot be read (ENOENT).',
      })
    })
  })
}

test('the certificate that the tests of PostgreSQL check comes with it', () => {
  expect(postgres === undefined || caCertPath !== undefined).toBe(true)
})
