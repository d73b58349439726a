import { expect, setDefaultTimeout, test } from 'bun:test'
import { chatReply, jsonReply, mockUpstream, modelsReply, refusingUrl } from '../../src/testing/index.ts'
import { startProgram, upstreamThat } from './program.ts'

setDefaultTimeout(60_000)

const remote = (id: string, host: string, network?: object) => ({
  provider_id: id,
  provider_type: 'remote::openai-compatible',
  config: { base_url: `http://${host}/v1`, api_key: 'k', ...(network && { network }) },
})

test('[PRO-4] the file, the environment and loopback each have their proxy', async () => {
  await using upstream = await upstreamThat(() => chatReply())
  await using proxy = await mockUpstream()
  proxy.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['far']) : chatReply()))
  await using collector = await mockUpstream()
  collector.respond(() => jsonReply({}))
  const dead = await refusingUrl()
  await using program = await startProgram({
    upstream: `${upstream.url}/v1`,
    providers: [
      // NO_PROXY names this host; the file's proxy is used all the same.
      remote('filed', 'filed.invalid', { proxy: { url: proxy.url } }),
      remote('plain', 'plain.invalid'),
    ],
    telemetry: { otlp: { endpoint: collector.url } },
    env: {
      HTTP_PROXY: dead,
      http_proxy: dead,
      HTTPS_PROXY: dead,
      NO_PROXY: 'filed.invalid',
      no_proxy: 'filed.invalid',
      OTEL_BSP_SCHEDULE_DELAY: '10',
    },
  })
  const chat = async (model: string) => {
    const messages = [{ role: 'user', content: 'Hello' }]
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${program.url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model, messages }),
      proxy: false,
    } as object)
    return { status: response.status, text: await response.text() }
  }
  expect((await chat('mock/some-model')).status).toBe(200)
  await program.logged(({ msg, provider }) => msg === 'models listed' && provider === 'filed')
  expect((await chat('filed/far')).status).toBe(200)
  expect(proxy.requests.map(({ headers }) => headers['host'])).toContain('filed.invalid')

  const failed = await program.logged((line) => line['provider'] === 'plain' && JSON.stringify(line).includes('plain.invalid'))
  expect(JSON.stringify(failed)).toContain(`by the proxy ${new URL(dead).host}`)
  expect(JSON.stringify(failed)).toContain('at its proxy, the connection was refused')
  expect((await collector.received(1)).path).toBe('/v1/traces')
})
