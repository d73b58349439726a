import { expect, test } from 'bun:test'
import { groq } from '../../src/providers/inference/groq.ts'
import { chatReply, mockUpstream, providerEntry, recordedLog, testApp, testConfig } from '../../src/testing/index.ts'
import { operatorKey } from './remote-cases.ts'

const own = ['{"__authenticated_user":{"principal":"root"},"__proto__":{"groq_api_key":"x"}}', '{"constructor":1,"toString":2}', '{}']

test('[PRV-3] fields of the provider data that are the server’s own are ignored, and the request goes on', async () => {
  await using upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const config = { base_url: upstream.url, api_key: operatorKey }
  await using app = await testApp(testConfig({ providers: [providerEntry(groq, 'groq', config)] }))
  for (const header of ['x-llamastack-provider-data', 'x-ogx-provider-data']) {
    for (const value of own) {
      const response = await app.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', [header]: value },
        body: JSON.stringify({ model: 'groq/m', messages: [{ role: 'user', content: 'Hi' }] }),
      })
      expect([value.slice(0, 40), response.status]).toEqual([value.slice(0, 40), 200])
      expect(upstream.requests.at(-1)?.headers.authorization).toBe(`Bearer ${operatorKey}`)
    }
  }
})

test('a key of another type is refused with a message that names the field, not the value', async () => {
  await using upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const log = recordedLog()
  await using app = await testApp(testConfig({ providers: [providerEntry(groq, 'groq', { base_url: upstream.url })] }), { log })
  const response = await app.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-ogx-provider-data': '{"groq_api_key":987654321}' },
    body: JSON.stringify({ model: 'groq/m', messages: [{ role: 'user', content: 'Hi' }] }),
  })
  expect(response.status).toBe(400)
  const text = await response.text()
  expect(text).toContain("'groq_api_key' must be a string, not a number")
  expect(text + JSON.stringify(log.lines)).not.toContain('987654321')
})
