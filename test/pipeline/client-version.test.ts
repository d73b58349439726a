import { expect, test } from 'bun:test'
import { testApp, testConfig } from '../../src/testing/index.ts'

const header = { seed: 'X-LlamaStack-Client-Version', newest: 'X-OGX-Client-Version' }

/** Header, what it says, status. Served are 0.2 and 0.7. */
const table: [string, string, number][] = [
  [header.seed, '0.2.23', 200],
  [header.seed, '0.7.3', 200],
  [header.newest, '0.7.0', 200],
  [header.newest, '0.2', 200],
  [header.seed, '0.3.0', 426],
  [header.newest, '1.2.0', 426],
  [header.seed, '0.20.1', 426],
  [header.seed, '0.02.1', 200],
  [header.seed, '2', 200],
  [header.seed, '', 200],
  [header.seed, 'latest', 200],
  [header.seed, '0.x.1', 200],
  [header.seed, '0.3rc1', 200],
  [header.seed, '0.3.0rc1', 426],
  [header.seed, '-1.3.0', 200],
]

for (const [name, version, status] of table) {
  test(`[PIP-10] ${name}: '${version}' is ${status}`, async () => {
    await using app = await testApp(testConfig({ server: { clientVersions: ['0.2', '0.7'] } }))
    const response = await app.fetch('/v1/models', { headers: { [name]: version } })
    expect(response.status).toBe(status)
    if (status !== 426) return
    const { error } = (await response.json()) as { error: { message: string; type: string; code: string } }
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'client_version_mismatch' })
    expect(error.message).toBe(`Client version ${version} is not compatible with server version 0.2, 0.7. Please update your client.`)
  })
}

test('[PIP-10] without the option every client is served', async () => {
  await using app = await testApp(testConfig())
  expect((await app.fetch('/v1/models', { headers: { [header.seed]: '9.9.9' } })).status).toBe(200)
})
