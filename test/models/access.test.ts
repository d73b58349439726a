import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { chat as chatOperation } from '../../src/operations/chat.ts'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import { upstreamProvider, type MockUpstream } from '../../src/testing/index.ts'
import { modelServer, people, upstreamOfModels, type ModelServer } from './model-server.ts'

let upstream: MockUpstream
beforeAll(async () => {
  upstream = await upstreamOfModels()
})
afterAll(() => upstream[Symbol.asyncDispose]())

const everything: AccessRule = { permit: { actions: ['create', 'read', 'update', 'delete'] } }
const notFound = (id: string) => `Model '${id}' was not found, or you do not have access to it.`

/** What becomes of every way to a model; `list`: the ids that count as showing it. */
async function waysTo(server: ModelServer, who: string, id: string) {
  const [get, chat, remove] = [
    await server.ask(who, `/v1/models/${id}`),
    await server.chat(who, id),
    await server.ask(who, `/v1/models/${id}`, { method: 'DELETE' }),
  ]
  return { get, chat, remove }
}

async function expectHidden(server: ModelServer, who: string, id: string): Promise<void> {
  for (const [way, { status, json }] of Object.entries(await waysTo(server, who, id))) {
    expect(`${way} ${id}: ${status} ${json.error?.message}`).toBe(`${way} ${id}: 404 ${notFound(id)}`)
  }
  expect(await server.ids(who)).not.toContain(id)
}

describe('what the policy does not let be read', () => {
  test('[MOD-17] is 404 by every way and spelling, is not listed, and the log says which rule', async () => {
    const rules: AccessRule[] = [
      { forbid: { actions: ['read'], resource: 'model::groq/llama' }, description: 'not that one' },
      { forbid: { actions: 'read', resource: 'model::groq/compound' } },
      { forbid: { actions: 'read', resource: 'regex:model::openai/g' } },
      { forbid: { actions: 'read', resource: 'model::quick' } },
      everything,
    ]
    const parts = { models: [{ modelId: 'quick', providerId: 'openai', providerModelId: 'shared', type: 'llm' as const, metadata: {} }] }
    await using server = await modelServer(upstream, { rules, parts })
    const asked = upstream.requests.length
    // By its own name, its provider's, its doubled prefix, its unlisted kin, as an alias with and without prefix.
    for (const id of ['groq/llama', 'llama', 'groq/compound', 'groq/groq/compound', 'openai/gpt', 'gpt', 'openai/gone-unlisted', 'quick']) {
      await expectHidden(server, 'alice', id)
    }
    expect(upstream.requests.length).toBe(asked)
    expect(await server.ids('alice')).toEqual(['groq/shared', 'openai/shared'])
    await server.chat('alice', 'groq/llama')
    expect(server.lastDenial()).toEqual({ by: 'access_policy', because: 'rule 1 forbids it (not that one)' })
    const shown = await server.ask('alice', '/v1/openai/v1/models/groq/llama')
    expect(shown.status).toBe(404)
  })

  test('an id with an empty part means nothing that is not listed under it: no pattern sees it as what the upstream may', async () => {
    await using server = await modelServer(upstream, {
      rules: [{ forbid: { actions: 'read', resource: 'model::groq/secret*' } }, everything],
    })
    const asked = upstream.requests.length
    for (const id of ['groq//secret/model', 'groq/secret/model', 'groq///secret', 'groq/x//secret']) await expectHidden(server, 'alice', id)
    expect(upstream.requests.length).toBe(asked)
    expect((await server.chat('alice', 'groq/x/')).status).toBe(404)
    expect((await server.chat('alice', 'groq/x/secret')).status).toBe(200)
  })

  test('[MOD-17] an id that several providers have means the one that may be seen, and no other is named', async () => {
    await using server = await modelServer(upstream, {
      rules: [{ forbid: { actions: 'read', resource: 'model::openai/*' }, unless: 'user with b in teams' }, everything],
    })
    const several = await server.chat('bob', 'shared')
    expect([several.status, several.json.error.code]).toEqual([400, 'model_ambiguous'])
    const before = upstream.requests.length
    expect((await server.chat('alice', 'shared')).status).toBe(200)
    expect(upstream.requests[before]?.headers['authorization']).toBe('Bearer groq-key')
    expect((await server.ask('alice', '/v1/models/shared')).json).toMatchObject({ id: 'groq/shared' })
  })

  test('[MOD-17] holds for what the caller’s own provider key lists', async () => {
    const own = { 'x-llamastack-provider-data': JSON.stringify({ byo_api_key: 'own' }) }
    const parts = { providers: [upstreamProvider('byo', upstream.url, { hasOwnKey: false })] }
    await using server = await modelServer(upstream, {
      rules: [{ forbid: { actions: 'read', resource: 'model::byo/gpt' } }, everything],
      parts,
    })
    const ask = async (path: string, body?: object): Promise<{ status: number; text: string }> => {
      const response = await server.fetch(path, {
        headers: { authorization: 'Bearer alice', 'content-type': 'application/json', ...own },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
      })
      return { status: response.status, text: await response.text() }
    }
    const { text } = await ask('/v1/models')
    expect((JSON.parse(text) as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['byo/shared'])
    const messages = [{ role: 'user', content: 'Hi' }]
    for (const id of ['byo/gpt', 'gpt']) {
      expect((await ask(`/v1/models/${id}`)).status).toBe(404)
      expect((await ask('/v1/chat/completions', { model: id, messages })).status).toBe(404)
    }
    expect((await ask('/v1/chat/completions', { model: 'shared', messages })).status).toBe(200)
  })

  test('[MOD-18] a key’s models: nothing else is there for it', async () => {
    await using server = await modelServer(upstream)
    expect(await server.ids('keyed')).toEqual(['groq/llama', 'groq/compound', 'groq/shared'])
    for (const id of ['openai/gpt', 'gpt', 'openai/unlisted', 'openai/shared']) await expectHidden(server, 'keyed', id)
    expect(server.lastDenial()).toEqual({ by: 'key', because: 'not among the models of the key key_1' })
    for (const id of ['groq/llama', 'llama', 'shared', 'groq/unlisted']) expect((await server.chat('keyed', id)).status).toBe(200)
    // What it may not use it cannot give another name, nor a name that is not its own.
    const target = await server.register('keyed', { model_id: 'mine-1', provider_id: 'openai', provider_model_id: 'gpt' })
    expect([target.status, target.json.error.message]).toEqual([404, notFound('openai/gpt')])
    const name = await server.register('keyed', { model_id: 'theirs', provider_id: 'groq', provider_model_id: 'llama' })
    expect([name.status, name.json.error.code]).toEqual([403, 'model_not_permitted'])
    expect((await server.register('keyed', { model_id: 'mine-1', provider_id: 'groq', provider_model_id: 'llama' })).status).toBe(200)
    expect((await server.chat('keyed', 'mine-1')).status).toBe(200)
  })

  test('[MOD-19] creating and deleting take being permitted', async () => {
    const rules: AccessRule[] = [
      { permit: { actions: ['create', 'read'] }, when: 'user with a in teams' },
      { permit: { actions: 'delete' }, when: 'user is owner' },
      { permit: { actions: 'read' } },
    ]
    await using server = await modelServer(upstream, { rules })
    const body = { model_id: 'fast', provider_id: 'groq', provider_model_id: 'llama' }
    const refused = await server.register('bob', body)
    expect([refused.status, refused.json.error.message]).toEqual([
      403,
      "User 'bob' (attributes: teams=['b']) cannot perform action 'create' on resource 'model::fast'",
    ])
    await server.register('alice', body)
    expect((await server.chat('bob', 'fast')).status).toBe(200)
    const kept = await server.ask('bob', '/v1/models/fast', { method: 'DELETE' })
    expect([kept.status, kept.json.error.message]).toEqual([
      403,
      "User 'bob' (attributes: teams=['b']) cannot perform action 'delete' on resource 'model::fast'",
    ])
    expect((await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })).status).toBe(200)
  })
})

const providerOf = async (server: ModelServer, who: string) => (await server.ask(who, '/v1/models/fast')).json.provider_id as string

describe('registered models', () => {
  const fast = { model_id: 'fast', provider_id: 'groq', provider_model_id: 'llama' }
  const other = { model_id: 'fast', provider_id: 'openai', provider_model_id: 'gpt' }

  test('[MOD-20] two who cannot see each other’s may use one name; who sees both gets the elder, each owner its own', async () => {
    await using server = await modelServer(upstream)
    expect((await server.register('alice', fast)).status).toBe(200)
    // Two in the same millisecond are ordered by their random ids.
    for (const registered = Date.now(); Date.now() === registered;);
    expect((await server.register('bob', other)).status).toBe(200)
    expect(await Promise.all(['alice', 'mate', 'bob', 'both'].map((who) => providerOf(server, who)))).toEqual([
      'groq',
      'groq',
      'openai',
      'groq',
    ])
    expect((await server.ids('both')).filter((id) => id === 'fast')).toEqual(['fast'])
    await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })
    expect((await server.ask('alice', '/v1/models/fast')).status).toBe(404)
    expect(await providerOf(server, 'both')).toBe('openai')
  })

  test('[MOD-21] do not bypass the policy: using one requires permission for the model that it refers to', async () => {
    const rules: AccessRule[] = [{ forbid: { actions: 'read', resource: 'model::openai/gpt' }, unless: 'user with b in teams' }, everything]
    await using server = await modelServer(upstream, { rules })
    const refused = await server.register('alice', other)
    expect([refused.status, refused.json.error.message]).toEqual([404, notFound('openai/gpt')])
    expect(await server.register('alice', { ...other, provider_model_id: 'gone' })).toMatchObject({ status: 200 })
    await server.ask('alice', '/v1/models/fast', { method: 'DELETE' })
    await server.register('bob', other)
    expect((await server.chat('bob', 'fast')).status).toBe(200)
    for (const response of [await server.chat('alice', 'fast'), await server.ask('alice', '/v1/models/fast')]) {
      expect([response.status, response.json.error.message]).toEqual([404, notFound('fast')])
    }
    expect(await server.ids('alice')).not.toContain('fast')
  })

  test('[MOD-22] what they are used for counts as what they stand for', async () => {
    await using server = await modelServer(upstream)
    await server.register('alice', fast)
    const { models } = server.services
    const call = { requestId: 'r', signal: new AbortController().signal, principal: { id: 'alice', ...people['alice']! }, providerData: {} }
    const resolved = async (id: string) => {
      const [{ catalogueId, model, providerId }] = await models.resolve(id, chatOperation, call)
      return [catalogueId, model, providerId]
    }
    for (const id of ['fast', 'llama', 'groq/llama']) expect(await resolved(id)).toEqual(['groq/llama', 'llama', 'groq'])
    for (const id of ['groq/compound', 'groq/groq/compound']) expect(await resolved(id)).toEqual(['groq/compound', 'groq/compound', 'groq'])
    expect(await resolved('groq/unlisted')).toEqual(['groq/unlisted', 'unlisted', 'groq'])
  })
})

test('[MOD-23] whatever the policy: listed is what may be read, found is what is listed, and all ways agree', async () => {
  const ids = ['groq/llama', 'groq/compound', 'groq/shared', 'openai/gpt', 'openai/shared', 'quick', 'hers', 'his']
  const resource = fc.constantFrom(
    undefined,
    ...ids.map((id) => `model::${id}`),
    'model::groq/*',
    'model::*',
    'regex:model::[a-g]',
    'regex:.*s$',
  )
  const condition = fc.constantFrom(undefined, 'user is owner', 'user with a in teams', 'user not in owners teams', 'resource is unowned')
  const rule = fc.record({ allows: fc.boolean(), resource, when: condition }).map(({ allows, resource: of, when }) => ({
    [allows ? 'permit' : 'forbid']: { actions: ['read'], ...(of && { resource: of }) },
    ...(when && { when }),
  }))
  let checked = 0
  await fc.assert(
    fc.asyncProperty(fc.array(rule, { minLength: 1, maxLength: 4 }), fc.constantFrom('alice', 'bob', 'both'), async (rules, who) => {
      // Registered before anything is forbidden, each by its owner.
      const { policy, restrict } = switchable(rules)
      const parts = { models: [{ modelId: 'quick', providerId: 'groq', providerModelId: 'llama', type: 'llm' as const, metadata: {} }] }
      await using server = await modelServer(upstream, { parts, policy })
      await server.register('alice', { model_id: 'hers', provider_id: 'groq', provider_model_id: 'llama' })
      await server.register('bob', { model_id: 'his', provider_id: 'openai', provider_model_id: 'gpt' })
      restrict()
      const reads = (id: string, owner?: string) =>
        policy.decide({
          principal: { id: who, ...people[who]! },
          action: 'read',
          resource: { type: 'model', id, owner: owner === undefined ? undefined : { id: owner, ...people[owner]! } },
        }).allowed
      const may = (id: string) => {
        if (id === 'hers') return reads('hers', 'alice') && reads('groq/llama')
        return id === 'his' ? reads('his', 'bob') && reads('openai/gpt') : reads(id)
      }
      const expected = ids.filter(may)
      expect((await server.ids(who)).toSorted()).toEqual(expected.toSorted())
      for (const id of ids) {
        const status = may(id) ? 200 : 404
        expect(`${id} ${(await server.ask(who, `/v1/models/${id}`)).status} ${(await server.chat(who, id)).status}`).toBe(
          `${id} ${status} ${status}`,
        )
      }
      if (expected.length > 0 && expected.length < ids.length) checked += 1
    }),
    { numRuns: 60 },
  )
  expect(checked).toBeGreaterThan(10)
}, 60_000)

/** Everything is permitted until `restrict` is called. */
function switchable(rules: AccessRule[]) {
  const restricted = compileAccessPolicy(rules)
  let open = true
  const policy = {
    isDefault: false,
    decide: (question: Parameters<typeof restricted.decide>[0]) =>
      open ? ({ allowed: true, explicit: true, reason: 'not yet' } as const) : restricted.decide(question),
  }
  return { policy, restrict: () => (open = false) }
}
