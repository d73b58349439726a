import { expect, test } from 'bun:test'
import { mockUpstream } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, startProvider } from '../providers/provider-server.ts'
import { callerKey, operatorKey } from '../providers/remote-cases.ts'

const completion = { prompt: 'Hi' }
const embedding = { input: 'Hi' }
const requests = [
  [chatPath, chat],
  [chatPath, { ...chat, stream: true }],
  ['/v1/completions', completion],
  ['/v1/embeddings', embedding],
] as const

test('[GUA-7] a passthrough_url is refused where base_url is configured, whatever it is', async () => {
  await using stage = await startProvider('remote::passthrough', (url) => ({ base_url: url, api_key: operatorKey }))
  await using other = await mockUpstream()
  for (const [path, body] of requests) {
    for (const passthrough_url of [other.url, stage.upstream.url, 'invalid', 7, ['x']]) {
      const response = await stage.post(path, body, { passthrough_url, passthrough_api_key: callerKey })
      const { code, param } = await errorOf(response)
      expect([path, response.status, code, param]).toEqual([path, 400, 'provider_url_not_accepted', 'passthrough_url'])
    }
  }
  expect([other.accepted, stage.requests()]).toEqual([0, []])
})

test('[GUA-7] and accepted as absent where it is empty; a listing never goes to it', async () => {
  await using stage = await startProvider('remote::passthrough', (url) => ({ base_url: url, api_key: operatorKey }))
  await using other = await mockUpstream()
  for (const passthrough_url of ['', null]) {
    expect((await stage.post(chatPath, chat, { passthrough_url })).status).toBe(200)
  }
  const data = JSON.stringify({ passthrough_url: other.url, passthrough_api_key: callerKey })
  expect((await stage.get('/v1/models', { 'x-ogx-provider-data': data })).status).toBe(200)
  expect(other.accepted).toBe(0)
})
