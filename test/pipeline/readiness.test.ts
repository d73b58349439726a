import { expect, test } from 'bun:test'
import { createServer, type AddressInfo } from 'node:net'
import { createToken } from '../../src/auth/keys/token.ts'
import { Secret } from '../../src/secret.ts'
import { recordedLog, testConfig, testServer } from '../../src/testing/index.ts'
import { asking, outcome } from './servers.ts'

const keysOnly = { auth: { authenticators: [{ type: 'api_key' }] }, keyPepper: new Secret('not-to-be-guessed-at-all') } as const
/** Well-formed, but never issued. */
const token = createToken(`key_${'0'.repeat(32)}`).reveal()

/** A port without a listener. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const readiness = async (server: { fetch(path: string): Promise<Response> }) => {
  const response = await server.fetch('/readyz')
  return [response.status, ((await response.json()) as { reasons: string[] }).reasons] as const
}

test('[PIP-16] a server whose keys cannot be read starts, reports it, and responds 503', async () => {
  const log = recordedLog()
  const records = { engine: 'postgres', host: '127.0.0.1', port: await closedPort(), database: 'none', poolSize: 2 } as const
  const config = testConfig({ ...keysOnly, storage: { backends: {}, records, recordsConfigured: true } })
  await using server = await testServer(config, { log })
  expect(await readiness(server)).toEqual([503, ['API keys cannot be read from the database']])
  const response = await server.fetch('/v1/models', asking(token))
  expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
  expect((await server.fetch('/v1/health')).status).toBe(200)
  expect(log.lines.filter(({ message }) => message === 'dependency unavailable')).toHaveLength(1)
})

test('[PIP-16] a server that reads its keys is ready, and unknown ones are 401', async () => {
  await using server = await testServer(testConfig(keysOnly))
  expect(await outcome(await server.fetch('/v1/models', asking(token)))).toStartWith('401 ')
  expect(await readiness(server)).toEqual([200, []])
})

test('[PIP-16] an unreachable quota store is reported; requests pass or fail by configuration, never with 500', async () => {
  const port = await closedPort()
  const backends = { counters: { engine: 'redis', host: '127.0.0.1', port } } as const
  const storage = { backends, records: { engine: 'sqlite', path: ':memory:' }, recordsConfigured: true } as const
  const requests = { anonymous: 1, authenticated: 1, period: 'day' } as const
  const quota = (onStoreFailure: 'open' | 'closed') => ({ limits: [], requests, store: { backend: 'counters' }, onStoreFailure }) as const

  await using closed = await testServer(testConfig({ storage, quota: quota('closed') }))
  const response = await closed.fetch('/v1/models')
  expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
  expect(await readiness(closed)).toEqual([503, ['the quota store is unavailable']])

  await using open = await testServer(testConfig({ storage, quota: quota('open') }))
  for (let count = 0; count < 3; count++) expect((await open.fetch('/v1/models')).status).toBe(200)
  expect(await readiness(open)).toEqual([200, []])
})
