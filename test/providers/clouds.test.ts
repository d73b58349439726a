import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { completeAzureRoot } from '../../src/providers/inference/azure.ts'
import { controlPlaneOf, parseBedrockModels } from '../../src/providers/inference/bedrock.ts'
import { inferenceDefinitions } from './inference-definitions.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { errorReply, jsonReply, mockUpstream } from '../../src/testing/index.ts'
import { chat, chatPath, listedTypes, startProvider } from './provider-server.ts'
import { callerKey, operatorKey } from './remote-cases.ts'

const key = { api_key: operatorKey }

/** One chat with watsonx: the response, and what of a project or a space arrived. */
async function askWatsonx({ config = {}, data, body = {} }: { config?: object; data?: object; body?: object }) {
  await using stage = await startProvider(
    'remote::watsonx',
    (url) => ({ ...key, base_url: url, iam_url: `${url}/identity/token`, ...config }),
    ({ path }) => {
      if (path === '/identity/token') return jsonReply({ access_token: 't', expiration: Math.floor(Date.now() / 1000) + 3600 })
      return path.includes('foundation_model_specs') ? jsonReply({ resources: [] }) : undefined
    },
  )
  const response = await stage.post(chatPath, { ...chat, ...body }, data)
  const json = stage.requests().find(({ path }) => path.includes('/chat/'))?.json
  const { status } = response
  return { status, text: await response.text(), scope: { project_id: json?.['project_id'], space_id: json?.['space_id'] } }
}

/** A model as `ListFoundationModels` describes it. */
function summary(modelId: string, output: string, types: readonly string[] = ['ON_DEMAND']) {
  return { modelId, providerName: 'Acme', outputModalities: [output], inferenceTypesSupported: types }
}

const profile = (id: string, model: string, status = 'ACTIVE') => ({
  inferenceProfileId: id,
  status,
  models: [{ modelArn: `arn:aws:bedrock:us-east-1::foundation-model/${model}` }],
})

const listed = (id: string) => ({ id, type: 'llm' as const, metadata: {}, owned_by: 'Acme' })

describe('Azure', () => {
  const host = 'https://x.openai.azure.com'

  test.each([
    ['', '/openai/v1'],
    ['/', '/openai/v1'],
    ['/openai', '/openai/v1'],
    ['/openai/', '/openai/v1'],
    ['/openai/v1', '/openai/v1'],
    ['/openai/v1/', '/openai/v1'],
    ['/openai/deployments/gpt-4o', '/openai/deployments/gpt-4o'],
    ['/openai/deployments/gpt-4o/', '/openai/deployments/gpt-4o'],
    ['/openai/deployments/gpt-4o/chat/completions?api-version=2024-06-01', '/openai/deployments/gpt-4o'],
    ['/openai/deployments/a%20b/embeddings', '/openai/deployments/a%20b'],
    ['/gateway/openai', '/gateway/openai/v1'],
    ['/gateway/openai/deployments/d', '/gateway/openai/deployments/d'],
    ['/my/proxy', '/my/proxy'],
  ])('[VEN-7] a root that ends in %p is completed to %s', (path, completed) => {
    expect(completeAzureRoot(host + path)).toBe(host + completed)
  })

  test('[VEN-7] completing a root twice changes nothing more', () => {
    const part = fc.constantFrom('openai', 'deployments', 'v1', 'gpt-4o', 'chat', '', 'a%2Fb')
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const once = completeAzureRoot(`${host}/${parts.join('/')}`)
        expect(completeAzureRoot(once)).toBe(once)
      }),
      { numRuns: 200 },
    )
  })

  test.each([
    ['2024-06-01', {}, '?api-version=2024-06-01'],
    [null, {}, '?api-version=2024-10-21'],
    ['', {}, '?api-version=2024-10-21'],
    ['2024-06-01', { azure_api_version: '2025-01-01-preview' }, '?api-version=2025-01-01-preview'],
  ])('[VEN-7] the path of a deployment, api_version %p, data %j: %s', async (api_version, data, query) => {
    await using stage = await startProvider('remote::azure', (url) => ({
      ...key,
      base_url: `${url}/openai/deployments/gpt-4o`,
      api_version,
    }))
    expect((await stage.post(chatPath, { ...chat, model: 'p/gpt-4o' }, data)).status).toBe(200)
    expect(stage.requests()[0]).toMatchObject({
      path: `/openai/deployments/gpt-4o/chat/completions${query}`,
      headers: { 'api-key': operatorKey },
    })
    expect(await listedTypes(stage)).toEqual({ 'p/gpt-4o': 'llm' })
  })

  test('[VEN-7] the version of a URL that was copied whole', async () => {
    await using stage = await startProvider('remote::azure', (url) => ({
      ...key,
      base_url: `${url}/openai/deployments/text-embedding-3-small/embeddings?api-version=2023-05-15`,
    }))
    expect(await listedTypes(stage)).toEqual({ 'p/text-embedding-3-small': 'embedding' })
    await stage.post('/v1/embeddings', { model: 'p/text-embedding-3-small', input: 'Hi' })
    expect(stage.requests()[0]?.path).toBe('/openai/deployments/text-embedding-3-small/embeddings?api-version=2023-05-15')
  })

  test('[VEN-7] is healthy when the resource lists its models', async () => {
    let well = true
    await using stage = await startProvider(
      'remote::azure',
      (url) => ({ ...key, base_url: `${url}/openai/deployments/d`, api_version: '2024-06-01' }),
      ({ path }) => (path === '/openai/models?api-version=2024-06-01' && !well ? errorReply(401, 'Access denied') : undefined),
    )
    const health = async () => ((await (await stage.get('/v1/providers/p')).json()) as { health: { status: string } }).health.status
    expect(await health()).toBe('OK')
    well = false
    expect(await health()).toBe('Error')
  })

  test.each([
    ['/openai', '/openai/v1/chat/completions'],
    ['/openai/deployments/d', '/openai/deployments/d/chat/completions?api-version=2024-10-21'],
    ['/openai/deployments/d?api-version=2024-06-01', '/openai/deployments/d/chat/completions?api-version=2024-06-01'],
  ])('[VEN-7] a caller’s own root %s', async (path, arrived) => {
    await using own = await mockUpstream()
    await using stage = await startProvider('remote::azure', () => ({ ...key, base_url: own.url, api_version: '2020-01-01' }))
    const data = { azure_api_base: stage.upstream.url + path, azure_api_key: callerKey }
    expect((await stage.post(chatPath, chat, data)).status).toBe(200)
    expect(stage.requests()[0]?.path).toBe(arrived)
  })
})

describe('watsonx', () => {
  test.each([
    ['the configured space', { config: { space_id: 's' } }, { space_id: 's' }],
    ['the configured project, which goes before a space', { config: { project_id: 'p', space_id: 's' } }, { project_id: 'p' }],
    ['an empty project is none', { config: { project_id: '', space_id: 's' } }, { space_id: 's' }],
    ['a caller’s space', { config: { project_id: 'p' }, data: { watsonx_space_id: 'cs' } }, { space_id: 'cs' }],
    ['a caller’s project', { config: { space_id: 's' }, data: { watsonx_project_id: 'cp' } }, { project_id: 'cp' }],
    ['the body’s own space', { body: { space_id: 'bs' } }, { space_id: 'bs' }],
    [
      'the configured project, also where the body names a space',
      { config: { project_id: 'p' }, body: { space_id: 'bs' } },
      { project_id: 'p' },
    ],
  ])('[VEN-8] %s', async (_, requests, sent) => {
    const { status, scope } = await askWatsonx(requests)
    expect([status, scope]).toEqual([200, { project_id: undefined, space_id: undefined, ...sent }])
  })

  test('[VEN-8] without either: 400 that names both, in the file and in the header', async () => {
    const { status, text } = await askWatsonx({})
    expect([status, JSON.parse(text)]).toMatchObject([400, { error: { code: 'missing_watsonx_project' } }])
    for (const name of ['project_id', 'space_id', 'watsonx_project_id', 'watsonx_space_id']) expect(text).toContain(name)
  })
})

describe('Bedrock', () => {
  test.each([
    ['https://bedrock-runtime.us-east-2.amazonaws.com/openai/v1', 'https://bedrock.us-east-2.amazonaws.com'],
    ['https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/openai/v1', 'https://bedrock-fips.us-gov-west-1.amazonaws.com'],
    ['https://bedrock-runtime.cn-north-1.amazonaws.com.cn/openai/v1', 'https://bedrock.cn-north-1.amazonaws.com.cn'],
    ['https://bedrock-mantle.us-east-1.api.aws/v1', undefined],
    ['https://bedrock-runtime.us-east-2.amazonaws.com.evil.example/openai/v1', undefined],
    ['http://127.0.0.1:1/openai/v1', undefined],
  ])('[VEN-9] the models of %s are listed at %p', (root, url) => {
    expect(controlPlaneOf(root)).toBe(url)
  })

  const modelSummaries = [
    summary('acme.chat', 'TEXT'),
    summary('acme.embed', 'EMBEDDING'),
    summary('acme.draw', 'IMAGE'),
    summary('acme.large', 'TEXT', ['INFERENCE_PROFILE']),
  ]
  const inferenceProfileSummaries = [
    profile('us.acme.large', 'acme.large'),
    profile('us.acme.draw', 'acme.draw'),
    profile('us.acme.old', 'acme.large', 'DISABLED'),
  ]

  test('[VEN-9] the models that write text, on demand or through a profile', () => {
    expect(parseBedrockModels({ modelSummaries }, { inferenceProfileSummaries })).toEqual([listed('acme.chat'), listed('us.acme.large')])
    expect(parseBedrockModels({ modelSummaries }, undefined)).toEqual([listed('acme.chat')])
    expect(() => parseBedrockModels({ models: [] }, undefined)).toThrow()
    expect(() => parseBedrockModels({ modelSummaries }, {})).toThrow()
  })

  test.each([
    [200, ['acme.chat', 'us.acme.large']],
    [403, ['acme.chat']],
  ])('[VEN-9] both lists are requested with the key; profiles with %d: %j', async (status, ids) => {
    await using upstream = await mockUpstream()
    upstream.respond(({ path }) => {
      if (path === '/foundation-models') return jsonReply({ modelSummaries })
      return status === 200 ? jsonReply({ inferenceProfileSummaries }) : errorReply(status, { message: 'Not authorized' })
    })
    const api = 'https://bedrock.eu-north-1.amazonaws.com'
    const egress = createEgress()
    const definition = inferenceDefinitions.find(({ type }) => type === 'remote::bedrock')!
    const provider = definition.create(definition.config.parse({ api_key: operatorKey, region_name: 'eu-north-1' }), {
      id: 'p',
      egress: { ...egress, request: (url, init) => egress.request(String(url).replace(api, upstream.url), init) },
      log: silentLog,
    })
    const models = await provider.listModels?.({ requestId: 'r', signal: new AbortController().signal, providerData: {} })
    expect(models?.map(({ id }) => id)).toEqual(ids)
    expect(upstream.requests.map(({ path, headers }) => `${path} ${headers.authorization}`).toSorted()).toEqual([
      `/foundation-models Bearer ${operatorKey}`,
      `/inference-profiles?maxResults=1000&type=SYSTEM_DEFINED Bearer ${operatorKey}`,
    ])
  })

  test('[VEN-9] in the form of OpenAI at other hosts; a host without a listing lists nothing and is healthy', async () => {
    await using stage = await startProvider('remote::bedrock', (url) => ({ ...key, base_url: `${url}/openai/v1` }))
    expect(await listedTypes(stage)).toEqual({ 'p/listed': 'llm' })
    await using silent = await startProvider(
      'remote::bedrock',
      (url) => ({ ...key, base_url: `${url}/openai/v1` }),
      ({ method }) => (method === 'GET' ? errorReply(404, 'UnknownOperationException') : undefined),
    )
    const { health } = (await (await silent.get('/v1/providers/p')).json()) as { health: { status: string } }
    expect(health.status).toBe('OK')
    expect((await silent.post(chatPath, chat)).status).toBe(200)
  })

  test('[VEN-9] OGX’s names of the key, in the file and from callers', async () => {
    const { config } = inferenceDefinitions.find(({ type }) => type === 'remote::bedrock')!
    expect(config.safeParse({ aws_bedrock_bearer_token: '' }).success).toBe(true)
    await using stage = await startProvider('remote::bedrock', (url) => ({
      aws_bedrock_bearer_token: operatorKey,
      base_url: `${url}/openai/v1`,
    }))
    await stage.post(chatPath, chat)
    await stage.post(chatPath, chat, { aws_bedrock_bearer_token: callerKey })
    await stage.post(chatPath, chat, { aws_bearer_token_bedrock: callerKey })
    expect(stage.requests().map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${operatorKey}`,
      `Bearer ${callerKey}`,
      `Bearer ${callerKey}`,
    ])
  })
})

test('Meta’s older Llama API by its older key `openai_compat_api_base`', async () => {
  await using stage = await startProvider('remote::llama-openai-compat', (url) => ({ ...key, openai_compat_api_base: `${url}/compat/v1/` }))
  await stage.post(chatPath, chat)
  expect(stage.requests()[0]?.path).toBe('/compat/v1/chat/completions')
})
