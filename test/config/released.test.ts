import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { serveFile } from './serve-file.ts'

const folder = join(import.meta.dir, 'released')

/** Paths of the warnings beside those of the providers that are not served, of deprecated references and of `server`. */
const others: Readonly<Record<string, readonly string[]>> = {
  'connection-string.yaml': ['storage.stores.prompts', 'skills_of_a_later_release'],
  'early-postgres.yaml': ['inference_store'],
  'early-run.yaml': [
    'apis[1]',
    'apis[2]',
    'apis[4]',
    'apis[6]',
    'providers.inference[0].config.raise_on_connect_failure',
    'inference_store',
    'models[1]',
    'shields',
    'tool_groups',
    'external_providers_dir',
  ],
  'models-twice.yaml': ['models[1].model_id'],
  'none-served.yaml': ['providers', 'models[0]'],
  'provider-twice.yaml': [
    'providers.inference[1].provider_id',
    'providers.inference[1].config.guardrails_service_url',
    'providers.inference[1].config.config_id',
    'registered_resources.shields',
  ],
  'responses-api.yaml': ['apis[8]', 'storage.stores.prompts', 'storage.stores.connectors', 'connectors'],
  'stores-on-sql.yaml': [
    'storage.backends.documents',
    'storage.stores.inference',
    'storage.stores.conversations',
    'storage.stores.prompts',
    'storage.stores.connectors',
    'storage.stores.vector_stores',
    'storage.stores.vector_stores.backend',
  ],
  'telemetry-switch.yaml': ['storage.stores.inference', 'storage.stores.conversations'],
  'two-servers.yaml': ['shields'],
  'unknown-types.yaml': ['external_providers_dir', 'external_apis_dir', 'models[0]'],
  'vector-stores-templates.yaml': [
    'vector_stores',
    'vector_stores.annotation_instruction_template',
    'vector_stores.file_search_params.header_template',
    'vector_stores.chunk_retrieval_params.weighted_search_alpha',
    'vector_stores.chunk_retrieval_params.default_search_mode',
    'safety',
  ],
}

describe('[REL-10] files of the shapes that have been released', () => {
  for (const file of readdirSync(folder)) {
    test(`[REL-10] [REL-1] ${file} loads, starts without its database, and serves the providers that Corral has`, async () => {
      const { expected, unserved, served, warnings, health } = await serveFile(join(folder, file))
      expect([health, served]).toEqual([200, expected])
      expect(warnings.every(({ line }) => line > 0)).toBe(true)
      const paths = warnings
        .filter(({ path, message }) => !message.includes('grammar of before') && !path.startsWith('server.'))
        .map(({ path }) => path.replace(/\]\.(provider_type|module)$/, ']'))
      expect(paths.toSorted()).toEqual([...unserved, ...(others[file] ?? [])].toSorted())
    })
  }
})
