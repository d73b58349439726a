import { describe, expect, test } from 'bun:test'
import { load, problems, warnings, withConfig } from './loading.ts'

const one = withConfig('mode: fast')
const twice = (second: string) =>
  `${one}\nmodels:\n  - { model_id: a, provider_id: one }\n  - { model_id: a, provider_id: all }\n  - { model_id: a, provider_id: one${second} }`

describe('registered models', () => {
  test('both places, with every field', async () => {
    const { config } = await load(`${one}
registered_resources:
  models:
    - { model_id: fast, provider_id: one, provider_model_id: vendor/fast-1, metadata: { context_length: "\${env.N:=8192}" } }
    - { model_id: claude, provider_id: all, provider_model_id: auto, model_type: llm }
models:
  - { model_id: embedder, provider_id: "\${env.P:=one}", model_type: embedding, metadata: { embedding_dimension: 384 } }
  - model_id: bare`)
    expect(config.models).toEqual([
      { modelId: 'fast', providerId: 'one', providerModelId: 'vendor/fast-1', type: 'llm', metadata: { context_length: 8192 } },
      { modelId: 'claude', providerId: 'all', providerModelId: 'auto', type: 'llm', metadata: {} },
      { modelId: 'embedder', providerId: 'one', providerModelId: undefined, type: 'embedding', metadata: { embedding_dimension: 384 } },
      { modelId: 'bare', providerId: undefined, providerModelId: undefined, type: 'llm', metadata: {} },
    ])
  })

  test('a model of a disabled or unserved provider is left out with a warning, of a conditional one without', async () => {
    const text = `version: 2
providers:
  inference:
    - { provider_id: "\${env.X:+off}", provider_type: remote::sample }
    - { provider_id: later, provider_type: inline::later }
models:
  - { model_id: a, provider_id: off }
  - { model_id: b, provider_id: later }
  - { model_id: c, provider_id: "\${env.X:+off}" }`
    expect((await load(text)).config.models).toEqual([])
    expect(await warnings(text)).toEqual([
      '2:1 providers: no provider is enabled: no models will be available',
      '5:7 providers.inference[1]: not served by this version yet: later (inline::later: Comes later)',
      "7:5 models[0]: the model 'a' is left out: its provider 'off' is switched off",
      "8:5 models[1]: the model 'b' is left out: its provider 'later' is not served by this version yet",
    ])
  })

  test('[REL-5] one model twice for one provider: the same entry is fine, another provider_model_id is a warning, the rest an error', async () => {
    expect(await warnings(twice(', model_type: llm'))).toEqual([])
    expect((await load(twice(''))).config.models).toHaveLength(2)
    const other = ', provider_model_id: b'
    const message = "11:7 models[2].model_id: the model 'a' is registered twice for one provider"
    expect(await warnings(twice(other))).toEqual([`${message}, with another provider_model_id: this entry counts`])
    expect((await load(twice(other))).config.models[0]?.providerModelId).toBe('b')
    expect(await problems(twice(other), { strict: true })).toEqual([`${message}, with another provider_model_id: this entry counts`])
    expect(await problems(twice(', model_type: embedding'))).toEqual([message])
    expect(await problems(twice(', metadata: { n: 1 }'))).toEqual([message])
  })

  test('what is no list and what is no model', async () => {
    expect(await problems(`${one}\nmodels: all`)).toEqual(['8:1 models: must be a list of models'])
    expect(await problems(`${one}\nmodels: [just-a-name]`)).toEqual(['8:10 models[0]: must be a map, not a string'])
  })
})

describe('providers', () => {
  test('[REL-1] known but unsupported parts are named, each at its line; an unknown API is reported', async () => {
    const text = `version: 2
apis: [inference, vector_io, agents, models, later_api]
providers:
  inference: [{ provider_id: one, provider_type: remote::sample }]
  vector_io:
    - { provider_id: faiss, provider_type: inline::faiss, config: { path: "\${env.NOT_SET}" } }
    - { provider_id: other, provider_type: "inline::faiss" }
  agents: [{ provider_id: a, provider_type: inline::anything }]
  later_api: [{ provider_id: b, provider_type: inline::anything }]
  telemetry:`
    expect(await warnings(text)).toEqual([
      "2:46 apis[4]: unknown API 'later_api': ignored.",
      '6:7 providers.vector_io[0]: not served by this version yet: faiss (inline::faiss)',
      '7:7 providers.vector_io[1]: not served by this version yet: other (inline::faiss)',
      '8:12 providers.agents[0]: not served by this version yet: a (inline::anything)',
      '9:3 providers.later_api: unknown API: its providers are ignored.',
    ])
    expect((await load(text)).config.apis).toEqual(['inference', 'vector_io', 'agents', 'models'])
  })

  test('the providers of an API that apis: leaves out are not used', async () => {
    const text = `${one}\napis: [models]`
    expect((await load(text)).config.providers).toEqual([])
    expect(await warnings(text)).toContain("3:3 providers.inference: these providers are not used: 'apis' does not list inference")
  })

  test('slips', async () => {
    expect(
      await problems(`version: 2
providers:
  infrence: []
  vector_io: [{ provider_id: a, provider_type: inline::fais }, { provider_id: b, provider_type: remote::sample }]
  inference:
    - remote::sample
    - { provider_id: a/b, provider_type: remote::sample }
    - { provider_id: all, provider_type: remote::sample, confg: {} }
    - { provider_id: c, provider_type: remote::sample, config: [] }
  safety: llama-guard`),
    ).toEqual([
      "3:3 providers.infrence: unknown API. Did you mean 'inference'?",
      '6:7 providers.inference[0]: must be a map with provider_id and provider_type',
      "7:9 providers.inference[1].provider_id: a provider_id cannot be 'all' nor contain '/'",
      "8:9 providers.inference[2].provider_id: a provider_id cannot be 'all' nor contain '/'",
      "8:58 providers.inference[2].confg: unknown key. Did you mean 'config'?",
      '9:56 providers.inference[3].config: must be a map, not a list',
    ])
  })
})

describe('sections that are not used yet', () => {
  test('are said once each, by name', async () => {
    const text = `${one}
safety: { default_shield_id: guard }
vector_stores: {}
connectors: []
registered_resources: { shields: [{ shield_id: s }], vector_stores: [], tool_groups: [{ toolgroup_id: t }] }
external_providers_dir: ~/providers.d
external_apis_dir:`
    expect(await warnings(text)).toEqual([
      '8:1 safety: is not used by this version yet',
      '11:25 registered_resources.shields: is not used by this version yet',
      '11:73 registered_resources.tool_groups: is not used by this version yet',
      "12:1 external_providers_dir: names Python code of Llama Stack, which cannot be loaded. A provider's own 'module:' takes an npm package",
    ])
  })

  test('[REL-1] a key close to that of a part that is not served is a warning; close to a served one it is an error', async () => {
    const text = `version: 2
apis: [inference, evals]
providers:
  inference: [{ provider_id: one, provider_type: remote::sample }]
  evals: [{ provider_id: e, provider_type: remote::x }]
connector: []
registered_resources: { shield: [] }
storage:
  backends: { kv: { type: kv_sqlite, db_path: ":memory:" } }
  stores: { metadata: { backend: kv }, prompt: { backend: nope } }
metadata_store: { type: oracle, db_path: "\${env.NOT_SET}" }`
    const { warnings: warned } = await load(text)
    expect(warned.map(({ path, kind }) => `${path} ${kind}`)).toEqual([
      'apis[1] unknown_key',
      'providers.evals unknown_key',
      'connector unknown_key',
      'registered_resources.shield unknown_key',
      'storage notice',
      'storage.stores.prompt unknown_key',
      'metadata_store not_served',
      'metadata_store.type invalid',
      'metadata_store.db_path invalid',
    ])
    for (const slip of ['storag: {}', 'registered_resources: { model: [] }', 'storage: { stores: { metadatas: { backend: x } } }']) {
      expect(await problems(`${one}\n${slip}`)).toEqual([expect.stringContaining('unknown key. Did you mean') as string])
    }
  })

  test('[REL-1] are checked for their form all the same: mistakes are warnings, and errors under --strict', async () => {
    const text = `${one}\nvector_stores: { file_search_params: { header_template: x }, chunk_retrieval_params: { weighted_search_alpha: 2 } }`
    const mistakes = [
      '8:40 vector_stores.file_search_params.header_template: must contain {num_chunks}',
      '8:40 vector_stores.file_search_params.header_template: must contain file_search',
      '8:88 vector_stores.chunk_retrieval_params.weighted_search_alpha: must be at most 1',
    ]
    expect(await problems(text, { strict: true })).toEqual(mistakes)
    expect(await warnings(text)).toEqual(['8:1 vector_stores: is not used by this version yet', ...mistakes])
  })
})
