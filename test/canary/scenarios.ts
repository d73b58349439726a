import type { CanaryStage } from './canary-server.ts'
import { canaryOf } from './secrets.ts'
import { models } from './upstream.ts'

/** Something that happens to a server full of secrets. */
interface Scenario {
  readonly name: string
  readonly runScenario: (startCanary: CanaryStage) => Promise<void>
}

const json = { 'content-type': 'application/json' }
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const providerData = (data: unknown) => ({ 'x-llamastack-provider-data': typeof data === 'string' ? data : JSON.stringify(data) })

/** A chat as a caller with a good token. */
function chat(startCanary: CanaryStage, model: string, over: { stream?: boolean; headers?: Record<string, string> } = {}) {
  const { callers } = startCanary
  return startCanary.ask(`/v1/chat/completions?api_key=${callers.queryKey.value}`, {
    method: 'POST',
    headers: { ...json, ...bearer(callers.goodToken.value), cookie: `session=${callers.cookie.value}`, ...over.headers },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: callers.prompt.value }], ...(over.stream && { stream: true }) }),
  })
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'a token stands where the id of a key or a model belongs',
    async runScenario(startCanary) {
      const { callers } = startCanary
      const admin = { ...json, ...bearer(callers.goodToken.value) }
      const body = JSON.stringify({ name: 'misplaced', principal: 'bob' })
      const made = await startCanary.ask('/v1alpha/admin/keys', { method: 'POST', headers: admin, body }, 'unseen')
      if (made.status !== 200) throw new Error(`no key was made: ${made.status} ${made.text}`)
      const { value } = JSON.parse(made.text) as { value: string }
      startCanary.canaries.push(canaryOf('a misplaced API key', value, value.split('_').at(-1)!.slice(0, -4)))
      for (const text of [value, value.replaceAll('_', '%5F'), value.slice(0, -8), `${'x'.repeat(190)}${value}`]) {
        for (const request of [{}, { method: 'DELETE' }, { method: 'POST', headers: admin, body: '{}' }]) {
          const end = request.method === 'POST' ? '/rotate' : ''
          const response = await startCanary.ask(`/v1alpha/admin/keys/${text}${end}`, {
            headers: bearer(callers.goodToken.value),
            ...request,
          })
          if (response.status !== 404) throw new Error(`a token is no id: ${response.status} ${response.text}`)
        }
        await startCanary.ask(`/v1/models/${text}`, { headers: bearer(callers.goodToken.value) })
        await startCanary.ask(`/no/such/path/${text}`, { headers: bearer(callers.goodToken.value) })
        await chat(startCanary, text)
      }
    },
  },
  {
    name: 'providers hand keys back in every way they can, whole and streamed',
    async runScenario(startCanary) {
      for (const provider of ['echo', 'groq', 'azure', 'in-url', 'proxied', 'away']) {
        await Promise.all(models.flatMap((model) => [false, true].map((stream) => chat(startCanary, `${provider}/${model}`, { stream }))))
      }
    },
  },
  {
    name: 'callers bring provider keys of their own, and hosts',
    async runScenario(startCanary) {
      const { callers, upstream } = startCanary
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
        await chat(startCanary, `groq/${model}`, { headers: providerData(own) })
        await chat(startCanary, `groq/${model}`, { stream: true, headers: providerData(own) })
        await chat(startCanary, `azure/${model}`, { headers: providerData(own) })
        await chat(startCanary, `azure/${model}`, { stream: true, headers: providerData(elsewhere) })
        await chat(startCanary, `azure/${model}`, { headers: providerData(elsewhere) })
      }
      for (const data of [inside, withPassword]) await chat(startCanary, 'azure/ok', { headers: providerData(data) })
      const broken = callers.brokenProviderData.value
      for (const data of [
        `{"groq_api_key": "${broken}"`,
        `"${broken}"`,
        `[${broken}]`,
        JSON.stringify({ groq_api_key: { nested: broken } }),
      ]) {
        await chat(startCanary, 'groq/error-json', { headers: providerData(data) })
      }
      await startCanary.ask('/v1/models', { headers: { ...bearer(callers.goodToken.value), ...providerData(own) } })
    },
  },
  {
    name: 'credentials are bad in every way, and the identity service says so with all it was told',
    async runScenario(startCanary) {
      const { callers, issuer } = startCanary
      const ask = (headers: Record<string, string>, path = '/v1/models') => startCanary.ask(path, { headers })
      for (const { value } of [callers.refusedToken, callers.invalidToken, callers.downToken, callers.badToken, callers.unknownKey]) {
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
        startCanary.canaries.push(canaryOf(name, token, token.split('.')[2]))
        await ask(bearer(token))
        const forged = `${token.slice(0, -12)}${'A'.repeat(12)}`
        await ask(bearer(forged))
      }
    },
  },
  {
    name: 'bodies are wrong',
    async runScenario(startCanary) {
      const { callers } = startCanary
      const secret = callers.bodyKey.value
      const post = (body: string, headers: Record<string, string> = {}) =>
        startCanary.ask('/v1/chat/completions', {
          method: 'POST',
          headers: { ...json, ...bearer(callers.goodToken.value), ...headers },
          body,
        })
      await post(`{"model": "echo/ok", "api_key": "${secret}"`)
      await post(JSON.stringify({ model: 1, messages: secret, api_key: secret }))
      await post(JSON.stringify({ model: 'echo/ok', messages: [{ role: 'user', content: [{ type: 'text', text: 1, api_key: secret }] }] }))
      await post(secret, { 'content-encoding': 'gzip' })
    },
  },
  {
    name: 'keys of Corral’s own are made, used, used up, rotated and revoked',
    async runScenario(startCanary) {
      const { callers } = startCanary
      const admin = { ...json, ...bearer(callers.goodToken.value) }
      const create = async (name: string) => {
        const { status, text } = await startCanary.ask(
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
        if (status !== 200 && status !== 201) throw new Error(`no key was made: ${status} ${text}\n${startCanary.output().slice(-2000)}`)
        const { id, value } = JSON.parse(text) as { id: string; value: string }
        startCanary.canaries.push(canaryOf(`the API key ‘${name}’`, value, value.split('_').at(-1)!.slice(0, -4)))
        return { id, value }
      }
      const first = await create('canary key')
      for (let round = 0; round < 5; round += 1) {
        await startCanary.ask('/v1/chat/completions', {
          method: 'POST',
          headers: { ...json, 'x-api-key': first.value },
          body: JSON.stringify({
            model: round % 2 ? 'echo/error-json' : 'echo/ok',
            messages: [{ role: 'user', content: callers.prompt.value }],
          }),
        })
      }
      await startCanary.ask('/v1/chat/completions', {
        method: 'POST',
        headers: { ...json, ...bearer(first.value) },
        body: JSON.stringify({ model: 'groq/ok', messages: [{ role: 'user', content: 'x' }] }),
      })
      const rotated = await startCanary.ask(
        `/v1alpha/admin/keys/${first.id}/rotate`,
        { method: 'POST', headers: admin, body: '{}' },
        'unseen',
      )
      if (rotated.status === 200) {
        const { value } = JSON.parse(rotated.text) as { value: string }
        startCanary.canaries.push(canaryOf('a rotated API key', value, value.split('_').at(-1)!.slice(0, -4)))
        await startCanary.ask('/v1/models', { headers: bearer(value) })
      }
      const second = await create('canary key to revoke')
      await startCanary.ask(`/v1alpha/admin/keys/${second.id}`, { method: 'DELETE', headers: bearer(callers.goodToken.value) })
      await startCanary.ask('/v1/models', { headers: bearer(second.value) })
      const received = await startCanary.command(['keys', 'create', '--config', 'FILE', '--name', 'canary key of the machine'])
      const made = /crl_[0-9a-f]{32}_([0-9A-Za-z]{38})/.exec(received)
      if (!made) throw new Error(`corral keys create made none: ${received}`)
      startCanary.canaries.push(canaryOf('an API key of the command line', made[0], made[1]!.slice(0, -4)))
      await startCanary.ask('/v1/models', { headers: bearer(made[0]) })
    },
  },
]
