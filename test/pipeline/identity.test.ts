import { expect, test } from 'bun:test'
import type { Call } from '../../src/call.ts'
import { providerOf, recordedLog } from '../../src/testing/index.ts'
import { asking, known, serve } from './servers.ts'

const forged = JSON.stringify({
  __authenticated_user: { principal: 'root', attributes: { roles: ['admin'] } },
  __proto__: { x: 1 },
  mine: 'kept',
})
const headers = { 'content-type': 'application/json', 'x-llamastack-provider-data': forged }
const body = JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'hi' }] })

/** What a provider receives about the principal. */
async function callSeen(token?: string): Promise<Call> {
  const seen: Call[] = []
  const provider = providerOf('p', {
    invoke: {
      chat: (_request, call) => {
        seen.push(call)
        return Promise.reject(new Error('seen'))
      },
    },
  })
  const log = recordedLog()
  await using server = await serve({ providers: [provider] }, token === undefined ? undefined : known({ [token]: { attributes: {} } }), {
    log,
  })
  const init = { method: 'POST', headers, body }
  await server.fetch('/v1/chat/completions', token === undefined ? init : asking(token, init))
  const [call] = seen
  if (!call) throw new Error('The provider was not asked.')
  expect(JSON.stringify(log.lines)).not.toContain('root')
  return call
}

test('[PIP-14] provider data does not change the principal', async () => {
  const anonymous = await callSeen()
  expect([anonymous.principal, { ...anonymous.providerData }]).toEqual([undefined, { mine: 'kept' }])
  const alice = await callSeen('alice')
  expect([alice.principal?.id, alice.principal?.attributes, { ...alice.providerData }]).toEqual(['alice', {}, { mine: 'kept' }])
})
