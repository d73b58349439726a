import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Ajv2020 from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { providerOf, testApp, testConfig } from '../../src/testing/index.ts'
import { sharedFolder } from './published.ts'

type Check = (schema: string, json: unknown) => string[]

/** Holds replies to one of Llama Stack's published documents. Ours may carry more keys than they know. */
function checkOf(file: string): Check | undefined {
  const folder = sharedFolder()
  if (!folder) return undefined
  const text = readFileSync(join(folder, 'specs', file), 'utf8')
  const document = parse(text, (key, value: unknown) => (key === 'additionalProperties' && value === false ? undefined : value)) as {
    components: object
  }
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true, validateSchema: false })
  ajv.addSchema({ $id: 'published', components: document.components })
  return (schema, json) => {
    const validate = ajv.compile({ $ref: `published#/components/schemas/${schema}` })
    if (validate(json)) return []
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath || '/'} ${message}`)
  }
}

const provider = providerOf(
  'p',
  {
    checkHealth: async () => undefined,
    listModels: async () => [
      { id: 'a/b', type: 'llm', metadata: {} },
      { id: 'e', type: 'embedding', metadata: { embedding_dimension: 384, nested: { list: [1, null] } } },
    ],
  },
  { allowed_models: ['a/b', 'e'] },
)

test.each([
  ['ogx.yaml', 'OpenAIListModelsResponse'],
  ['llama-stack-seed.yaml', 'ListModelsResponse'],
])('what %s publishes of the read-only APIs holds', async (file, list) => {
  const check = checkOf(file)
  if (!check) return
  await using app = await testApp(testConfig({ providers: [provider], models: [{ modelId: 'alias', providerModelId: 'a/b' }] }))
  const get = async (path: string): Promise<unknown> => (await app.fetch(path)).json()
  const models = await get('/v1/models')
  expect(models).toMatchObject({ data: [{ id: 'alias' }, { id: 'p/a/b' }, { id: 'p/e' }] })
  expect(check(list, models)).toEqual([])
  for (const id of ['alias', 'p/a/b', 'p/e']) expect(check('Model', await get(`/v1/models/${id}`))).toEqual([])
  const body = JSON.stringify({ model_id: 'registered', provider_model_id: 'a/b', metadata: { any: [1, null] } })
  const registered = await app.fetch('/v1/models', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  expect(registered.status).toBe(200)
  expect(check('Model', await registered.json())).toEqual([])
  expect(check('ListProvidersResponse', await get('/v1/providers'))).toEqual([])
  expect(check('ProviderInfo', await get('/v1/providers/p'))).toEqual([])
  expect(check('ListRoutesResponse', await get('/v1/inspect/routes'))).toEqual([])
  expect(check('HealthInfo', await get('/v1/health'))).toEqual([])
  expect(check('VersionInfo', await get('/v1/version'))).toEqual([])
  expect(check('ListProvidersResponse', await get('/v1alpha/admin/providers'))).toEqual([])
  expect(check('Model', { id: 'x' })).not.toEqual([])
})
