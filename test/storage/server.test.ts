import { describe, expect, test } from 'bun:test'
import type { StorageConfig } from '../../src/storage/config.ts'
import { chatReply, mockUpstream, modelsReply } from '../../src/testing/index.ts'
import { testApp, testConfig, upstreamProvider } from '../../src/testing/test-app.ts'
import { until } from './processes.ts'

const places: readonly (readonly [string, StorageConfig])[] = [
  [
    'a PostgreSQL that is out of reach',
    { backends: {}, records: { engine: 'postgres', host: '127.0.0.1', port: 1, poolSize: 1 }, recordsConfigured: true },
  ],
  [
    'a default file that cannot be made',
    { backends: {}, records: { engine: 'sqlite', path: '/proc/corral/corral.db' }, recordsConfigured: false },
  ],
]

describe('a server', () => {
  for (const [what, storage] of places) {
    test(`[STO-20] with ${what} starts and relays; registering a model is a 503`, async () => {
      await using upstream = await mockUpstream()
      upstream.respond(({ path }) => (path === '/v1/models' ? modelsReply(['m']) : chatReply('Here.')))
      const config = testConfig({ providers: [upstreamProvider('one', upstream.url, { key: 'k' })] })
      await using server = await testApp({ ...config, storage })
      const post = (path: string, body: object) =>
        server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
      expect((await server.fetch('/v1/health')).status).toBe(200)
      await until(async () => (await server.fetch('/v1/models')).status === 200)
      const chat = await post('/v1/chat/completions', { model: 'one/m', messages: [{ role: 'user', content: 'Hello' }] })
      expect(chat.status).toBe(200)
      const registered = await post('/v1/models', { model_id: 'mine', provider_id: 'one', provider_model_id: 'm' })
      expect(registered.status).toBe(503)
      expect(registered.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(await registered.json()).toMatchObject({ error: { type: 'service_unavailable_error' } })
    }, 30_000)
  }
})
