import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { providerOf, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

/** A server whose database has not been requested. */
function serveOver(path: string): Promise<TestServer> {
  const providers = [providerOf('p', { listModels: async () => [{ id: 'm', type: 'llm', metadata: {} }] })]
  return testServer(testConfig({ providers, storage: { backends: {}, records: { engine: 'sqlite', path }, recordsConfigured: false } }))
}

const register = (server: TestServer, model_id: string) =>
  server.fetch('/v1/models', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model_id, provider_id: 'p', provider_model_id: 'm' }),
  })
const idsOf = async (server: TestServer) =>
  ((await (await server.fetch('/v1/models')).json()) as { data: { id: string }[] }).data.map(({ id }) => id).toSorted()

/** Repeats a request until the response is the expected one. */
async function until(expected: string[], ask: () => Promise<string[]>): Promise<void> {
  const deadline = performance.now() + 10_000
  for (;;) {
    const response = await ask()
    if (Bun.deepEquals(response, expected)) return
    if (performance.now() > deadline) expect(response).toEqual(expected)
    await Bun.sleep(20)
  }
}

test('[RES-1] a database is created when the first model is registered, seen by other processes, and read again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-later-'))
  try {
    const path = join(folder, 'home', 'corral.db')
    {
      await using one = await serveOver(path)
      await using other = await serveOver(path)
      await until(['p/m'], () => idsOf(one))
      await until(['p/m'], () => idsOf(other))
      expect((await other.fetch('/v1/models/nothing')).status).toBe(404)
      expect(existsSync(path)).toBe(false)
      expect((await register(one, 'fast')).status).toBe(200)
      expect(await idsOf(one)).toEqual(['fast', 'p/m'])
      await until(['fast', 'p/m'], () => idsOf(other))
    }
    await using again = await serveOver(path)
    expect((await again.fetch('/v1/models/fast')).status).toBe(200)
    expect((await again.fetch('/v1/models/fast', { method: 'DELETE' })).status).toBeOneOf([200, 204])
    await until(['p/m'], () => idsOf(again))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a file that is not a database does not prevent serving', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-later-'))
  try {
    const path = join(folder, 'corral.db')
    await Bun.write(path, 'no database at all, but long enough to be looked at as if it were one')
    await using server = await serveOver(path)
    await until(['p/m'], () => idsOf(server))
    expect((await register(server, 'fast')).status).toBe(503)
    expect((await server.fetch('/readyz')).status).toBe(200)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
