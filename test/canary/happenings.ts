import type { CanaryStage } from './stage.ts'
import { canaryOf } from './secrets.ts'
import { models } from './upstream.ts'

/** Something that happens to a server full of secrets. */
export interface Happening {
  readonly name: string
  readonly happens: (stage: CanaryStage) => Promise<void>
}

const json = { 'content-type': 'application/json' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const providerData = (data: unknown) => ({ 'x-llamastack-provider-data': typeof data === 'string' ? data : JSON.stringify(data) })

/** A chat as a caller with a good token. */
function chat(stage: CanaryStage, model: string, over: { stream?: boolean; headers?: Record<string, string> } = {}) {
  const { callers } = stage
  return stage.ask(`/v1/chat/completions?api_key=${callers.queryKey.value}`, {
    method: 'POST',
    headers: { ...json, ...bearer(callers.goodToken.value), cookie: `session=${callers.cookie.value}`, ...over.headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: callers.prompt.value }], ...(over.stream && { stream: true }) }),
  })
}

export const happenings: readonly Happening[] = [
  {
    name: 'a token stands where the id of a key or a model belongs',
    async happens(stage) {
      const { callers } = stage
      const admin = { ...json, ...bearer(callers.goodToken.value) }
      const body = JSON.stringify({ name: 'misplaced', principal: 'bob' })
      const made = await stage.ask('/v1alpha/admin/keys', { method: 'POST', headers: admin, body }, 'unseen')
      if (made.status !== 200) throw new Error(`no key was made: ${made.status} ${made.text}`)
      const { value } = JSON.parse(made.text) as { value: string }
      stage.canaries.push(canaryOf('a misplaced API key', value, value.split('_').at(-1)!.slice(0, -4)))
      for (const text of [value, value.replaceAll('_', '%5F'), value.slice(0, -8), `${'x'.repeat(190)}${value}`]) {
        for (const request of [{}, { method: 'DELETE' }, { method: 'POST', headers: admin, body: '{}' }]) {
          const end = request.method === 'POST' ? '/rotate' : ''
          const answer = await stage.ask(`/v1alpha/admin/keys/${text}${end}`, { headers: bearer(callers.goodToken.value), ...request })
          if (answer.status !== 404) throw new Error(`a token is no id: ${answer.status} ${answer.text}`)
        }
        await stage.ask(`/v1/models/${text}`, { headers: bearer(callers.goodToken.value) })
        await stage.ask(`/no/such/path/${text}`, { headers: bearer(callers.goodToken.value) })
        await chat(stage, text)
      }
    },
  },
  {
    name: 'providers hand keys back in every way they can, whole and streamed',
    async happens(stage) {
      for (const provider of ['echo', 'groq', 'azure', 'in-url', 'proxied', 'away']) {
        await Promise.all(models.flatMap((model) => [false, true].map((stream) => chat(stage, `${provider}/${model}`, { stream }))))
      }
    },
  },
  {
    name: 'callers bring provider keys of their own, and hosts',
    async happens(stage) {
      const { callers, upstream } = stage
      const key = callers.providerKey.value
      const own = { groq_api_key: key, openai_compatible_api_key: key, azure_api_key: key, [key]: key }
      const elsewhere = {
        azure_api_key: callers.callersHost.value,
        azure_api_base: `${upstream.url}/v1/${callers.callersPath.value}?api_key=${callers.callersPath.value}`,
      }
      const inside = { azure_api_key: callers.callersHost.value, azure_api_base: `http://10.0.0.1/${callers.callersPath.value}` }
      const withPassword = {
        azure_api_key: callers.callersHost.value,
        azure_api_base: `http://user:${callers.callersPath.value}@127.0.0.1:1/`,
      }
      for (const model of models) {
        await chat(stage, `groq/${model}`, { headers: providerData(own) })
        await chat(stage, `groq/${model}`, { stream: true, headers: providerData(own) })
        await chat(stage, `azure/${model}`, { headers: providerData(own) })
        await chat(stage, `azure/${model}`, { stream: true, headers: providerData(elsewhere) })
        await chat(stage, `azure/${model}`, { headers: providerData(elsewhere) })
      }
      for (const data of [inside, withPassword]) await chat(stage, 'azure/ok', { headers: providerData(data) })
      const broken = callers.brokenProviderData.value
      for (const data of [
        `{"groq_api_key": "${broken}"`,
        `"${broken}"`,
        `[${broken}]`,
        JSON.stringify({ groq_api_key: { nested: broken } }),
      ]) {
        await chat(stage, 'groq/error-json', { headers: providerData(data) })
      }
      await stage.ask('/v1/models', { headers: { ...bearer(callers.goodToken.value), ...providerData(own) } })
    },
  },
  {
    name: 'credentials are bad in every way, and the identity service says so with all it was told',
    async happens(stage) {
      const { callers, issuer } = stage
      const ask = (headers: Record<string, string>, path = '/v1/models') => stage.ask(path, { headers })
      for (const { value } of [callers.refusedToken, callers.nonsenseToken, callers.downToken, callers.badToken, callers.unknownKey]) {
        await ask(bearer(value))
        await ask({ authorization: `bearer ${value}` })
        await ask({ authorization: value })
        await ask({ authorization: `Token ${value}` })
      }
      await ask({ 'x-api-key': callers.apiKeyHeader.value })
      await ask({ 'x-goog-api-key': callers.googleHeader.value })
      await ask({ ...bearer(callers.badToken.value), 'x-api-key': callers.apiKeyHeader.value })
      await ask({ authorization: `Basic ${Buffer.from(`user:${callers.basicPassword.value}`).toString('base64')}` })
      await ask({}, `/v1/models?key=${callers.queryKey.value}`)
      await ask({}, `/no/such/path?token=${callers.queryKey.value}`)
      await ask(bearer(callers.goodToken.value), `/v1/inspect/forbidden?key=${callers.queryKey.value}`)
      for (const [name, claims] of [
        ['a good JWT', {}],
        ['an expired JWT', { exp: 1 }],
        ['a JWT for others', { aud: 'others' }],
      ] as const) {
        const token = await issuer.token(claims)
        stage.canaries.push(canaryOf(name, token, token.split('.')[2]))
        await ask(bearer(token))
        const forged = `${token.slice(0, -12)}${'A'.repeat(12)}`
        await ask(bearer(forged))
      }
    },
  },
  {
    name: 'bodies are wrong',
    async happens(stage) {
      const { callers } = stage
      const secret = callers.bodyKey.value
      const post = (body: string, headers: Record<string, string> = {}) =>
        stage.ask('/v1/chat/completions', { method: 'POST', headers: { ...json, ...bearer(callers.goodToken.value), ...headers }, body })
      await post(`{"model": "echo/ok", "api_key": "${secret}"`)
      await post(JSON.stringify({ model: 1, messages: secret, api_key: secret }))
      await post(JSON.stringify({ model: 'echo/ok', messages: [{ role: 'user', content: [{ type: 'text', text: 1, api_key: secret }] }] }))
      await post(secret, { 'content-encoding': 'gzip' })
    },
  },
  {
    name: 'keys of Corral’s own are made, used, used up, rotated and revoked',
    async happens(stage) {
      const { callers } = stage
      const admin = { ...json, ...bearer(callers.goodToken.value) }
      const create = async (name: string) => {
        const { status, text } = await stage.ask(
          '/v1alpha/admin/keys',
          {
            method: 'POST',
            headers: admin,
            body: JSON.stringify({
              name,
              principal: 'bob',
              allowed_models: ['echo/*'],
              limits: [{ name: 'few', requests: 3, period: 'day' }],
            }),
          },
          'unseen',
        )
        if (status !== 200 && status !== 201) throw new Error(`no key was made: ${status} ${text}\n${stage.output().slice(-2000)}`)
        const { id, value } = JSON.parse(text) as { id: string; value: string }
        stage.canaries.push(canaryOf(`the API key ‘${name}’`, value, value.split('_').at(-1)!.slice(0, -4)))
        return { id, value }
      }
      const first = await create('canary key')
      for (let round = 0; round < 5; round += 1) {
        await stage.ask('/v1/chat/completions', {
          method: 'POST',
          headers: { ...json, 'x-api-key': first.value },
          body: JSON.stringify({
            model: round % 2 ? 'echo/error-json' : 'echo/ok',
            messages: [{ role: 'user', content: callers.prompt.value }],
          }),
        })
      }
      await stage.ask('/v1/chat/completions', {
        method: 'POST',
        headers: { ...json, ...bearer(first.value) },
        body: JSON.stringify({ model: 'groq/ok', messages: [{ role: 'user', content: 'x' }] }),
      })
      const rotated = await stage.ask(`/v1alpha/admin/keys/${first.id}/rotate`, { method: 'POST', headers: admin, body: '{}' }, 'unseen')
      if (rotated.status === 200) {
        const { value } = JSON.parse(rotated.text) as { value: string }
        stage.canaries.push(canaryOf('a rotated API key', value, value.split('_').at(-1)!.slice(0, -4)))
        await stage.ask('/v1/models', { headers: bearer(value) })
      }
      const second = await create('canary key to revoke')
      await stage.ask(`/v1alpha/admin/keys/${second.id}`, { method: 'DELETE', headers: bearer(callers.goodToken.value) })
      await stage.ask('/v1/models', { headers: bearer(second.value) })
      const told = await stage.command(['keys', 'create', '--config', 'FILE', '--name', 'canary key of the machine'])
      const made = /crl_[0-9a-f]{32}_([0-9A-Za-z]{38})/.exec(told)
      if (!made) throw new Error(`corral keys create made none: ${told}`)
      stage.canaries.push(canaryOf('an API key of the command line', made[0], made[1]!.slice(0, -4)))
      await stage.ask('/v1/models', { headers: bearer(made[0]) })
    },
  },
]
