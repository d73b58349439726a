import { describe, expect, test } from 'bun:test'
import { providerDefinitions } from '../../src/providers/index.ts'
import { errorReply, jsonReply } from '../../src/testing/index.ts'
import { chat, chatPath, errorOf, listedTypes, startProvider, type MockScript, type ProviderServer } from './provider-server.ts'
import { callerKey, operatorKey } from './remote-cases.ts'

const watsonxConfig = (url: string) => ({ base_url: url, iam_url: `${url}/identity/token`, api_key: operatorKey, project_id: 'project-1' })

const tokens =
  (expiresIn: number, gate?: Promise<void>): MockScript =>
  ({ path, text }) =>
    path === '/identity/token'
      ? {
          ...jsonReply({
            access_token: `iam:${new URLSearchParams(text).get('apikey')}`,
            expiration: Math.floor(Date.now() / 1000) + expiresIn,
          }),
          ...(gate && { before: { until: gate } }),
        }
      : undefined

const exchanges = (stage: ProviderServer) => stage.requests().filter(({ path }) => path === '/identity/token')

const chats = (stage: ProviderServer) => stage.requests().filter(({ path }) => path.includes('/chat/'))

const huggingConfig = (url: string) => ({ base_url: `${url}/v2`, hub_url: url, endpoint_name: 'mine', api_token: operatorKey })

const signingConfig = (url: string) => ({
  base_url: url,
  aws_access_key_id: 'AKIA1',
  aws_secret_access_key: 'shh',
  region_name: 'eu-west-1',
})

describe('Bedrock', () => {
  test('AWS credentials without a Bedrock key: 400 that says what is not served yet; a caller’s key works', async () => {
    await using stage = await startProvider('remote::bedrock', signingConfig)
    const response = await stage.post(chatPath, chat)
    expect(response.status).toBe(400)
    expect((await errorOf(response)).message).toContain('SigV4')
    expect((await stage.post(chatPath, chat, { aws_bearer_token_bedrock: callerKey })).status).toBe(200)
  })

  test('both published starter files’ entries are valid', () => {
    const { config } = providerDefinitions.find(({ type }) => type === 'remote::bedrock')!
    expect(config.safeParse({}).success).toBe(true)
    expect(
      config.safeParse({ api_key: null, region_name: 'us-east-2', aws_role_arn: null, aws_web_identity_token_file: null }).success,
    ).toBe(true)
  })
})

describe('watsonx', () => {
  test('the key is exchanged once for all that ask at the same time, and kept', async () => {
    const gate = Promise.withResolvers<void>()
    await using stage = await startProvider('remote::watsonx', watsonxConfig, tokens(3600, gate.promise))
    const asking = Promise.all([1, 2, 3].map(() => stage.post(chatPath, chat)))
    while (exchanges(stage).length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    gate.resolve()
    expect((await asking).map(({ status }) => status)).toEqual([200, 200, 200])
    await stage.post(chatPath, chat)
    expect(exchanges(stage)).toHaveLength(1)
    expect(exchanges(stage)[0]?.text).toBe(`grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey=${operatorKey}`)
    expect(chats(stage)[0]).toMatchObject({
      path: '/ml/v1/chat/completions?version=2023-10-25',
      headers: { authorization: `Bearer iam:${operatorKey}` },
    })
  })

  test('a token in its last minute is not used again; a caller’s key has a token of its own', async () => {
    await using stage = await startProvider('remote::watsonx', watsonxConfig, tokens(59))
    await stage.post(chatPath, chat)
    await stage.post(chatPath, chat)
    expect(exchanges(stage)).toHaveLength(2)
    await stage.post(chatPath, chat, { watsonx_api_key: callerKey, watsonx_project_id: 'theirs' })
    expect(chats(stage).at(-1)).toMatchObject({ headers: { authorization: `Bearer iam:${callerKey}` }, json: { project_id: 'theirs' } })
  })

  test('the project goes with the request; what watsonx does not know stays behind', async () => {
    await using stage = await startProvider('remote::watsonx', watsonxConfig, tokens(3600))
    await stage.post(chatPath, { ...chat, parallel_tool_calls: true, stream_options: { include_usage: true }, temperature: 0.5 })
    expect(chats(stage)[0]?.json).toEqual({ model: 'm', ...chat, temperature: 0.5, project_id: 'project-1' })
  })

  test('IAM’s refusal arrives as it is, without the key', async () => {
    await using stage = await startProvider('remote::watsonx', watsonxConfig, ({ path }) =>
      path === '/identity/token'
        ? errorReply(401, { errorCode: 'BXNIM0415E', errorMessage: `Provided API key ${operatorKey} could not be found` })
        : undefined,
    )
    const response = await stage.post(chatPath, chat)
    expect([response.status, response.headers.get('x-corral-error-source')]).toEqual([401, 'provider'])
    const text = await response.text()
    expect(text).toContain('could not be found')
    expect(text).not.toContain(operatorKey)
    expect(chats(stage)).toEqual([])
  })
})

describe('Hugging Face endpoints', () => {
  test('a bare name is looked for in one’s own namespace, once', async () => {
    await using stage = await startProvider('remote::hf::endpoint', huggingConfig, ({ path, headers }) => {
      if (path === '/api/whoami-v2') return jsonReply({ name: 'me' })
      const url = `http://${headers.host}`
      return path === '/v2/endpoint/me/mine'
        ? jsonReply({ model: { repository: 'org/model' }, status: { state: 'running', url } })
        : undefined
    })
    expect(await listedTypes(stage)).toEqual({ 'p/org/model': 'llm' })
    await stage.post(chatPath, chat)
    await stage.post(chatPath, chat)
    expect(stage.upstream.requests.filter(({ path }) => path.startsWith('/v2/'))).toHaveLength(1)
    expect(stage.requests()[0]).toMatchObject({ path: '/v1/chat/completions', headers: { authorization: `Bearer ${operatorKey}` } })
  })

  test('a paused endpoint is 503 with Retry-After', async () => {
    await using stage = await startProvider(
      'remote::hf::endpoint',
      (url) => ({ ...huggingConfig(url), endpoint_name: 'a/b' }),
      ({ method }) => (method === 'GET' ? jsonReply({ model: { repository: 'r' }, status: { state: 'paused' } }) : undefined),
    )
    const response = await stage.post(chatPath, chat)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30'])
    expect((await errorOf(response)).message).toContain('paused')
  })
})
