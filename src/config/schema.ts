import { z } from 'zod'
import { serverSchema } from './schema-server.ts'
import { legacyStoreSchema, storageSchema, vectorStoresSchema } from './schema-storage.ts'
import { telemetrySchema } from './schema-telemetry.ts'

const modelTypes = ['llm', 'embedding', 'rerank'] as const

/** One entry of `registered_resources.models` or the older `models:`. */
export const registeredModelSchema = z.strictObject({
  model_id: z.string().min(1, 'must not be empty').describe('The name that callers use.'),
  provider_id: z
    .string()
    .nullish()
    .describe('Whose model it is; `all`: the first provider that has it. Absent: the only provider there is.'),
  provider_model_id: z
    .string()
    .nullish()
    .describe("The provider's own name of it; `auto`: its first model of this type. Absent: the same as `model_id`."),
  model_type: z.enum(modelTypes).default('llm'),
  metadata: z.record(z.string(), z.unknown()).nullish().describe('Free facts, e.g. `embedding_dimension`, `context_length`.'),
  model_validation: z.boolean().nullish(),
})

const shield = z.strictObject({
  shield_id: z.string(),
  provider_id: z.string().nullish(),
  provider_shield_id: z.string().nullish(),
  params: z.record(z.string(), z.unknown()).nullish(),
})

const vectorStore = z.looseObject({ vector_store_id: z.string() })
const anyList = z.array(z.looseObject({})).nullish()

export const registeredResourcesSchema = z.strictObject({
  models: z.array(registeredModelSchema).nullish(),
  shields: z.array(shield).nullish(),
  vector_stores: z.array(vectorStore).nullish(),
  vector_dbs: anyList,
  datasets: anyList,
  scoring_fns: anyList,
  benchmarks: anyList,
  tool_groups: anyList,
})

/** One entry under `providers.<api>`; `config` is checked by the provider's own schema. */
export const providerEntrySchema = z.strictObject({
  provider_id: z.string().nullable().describe('A name of your choice. Null, empty or `__disabled__` switches the entry off.'),
  provider_type: z.string().describe('E.g. `remote::groq`; `corral list providers` lists all.'),
  config: z.unknown().optional().describe("The provider's own settings."),
  module: z.string().nullish().describe('An npm package, or a path, whose default export is a provider definition.'),
})

export const loggingSchema = z.strictObject({
  category_levels: z
    .record(z.string(), z.string())
    .nullish()
    .describe('Category → debug, info, warn, error or silent; `all` for the rest.'),
})

const connectorsSchema = z.array(
  z.strictObject({ connector_id: z.string(), url: z.string(), connector_type: z.string().nullish(), server_label: z.string().nullish() }),
)

/** Sections that are read, checked for their form and not used by this version. */
export const unusedSections: Readonly<Record<string, z.ZodType>> = {
  vector_stores: vectorStoresSchema,
  safety: z.strictObject({ default_shield_id: z.string().nullish() }),
  connectors: connectorsSchema,
  shields: z.array(shield),
  vector_dbs: z.array(z.looseObject({})),
  datasets: z.array(z.looseObject({})),
  scoring_fns: z.array(z.looseObject({})),
  benchmarks: z.array(z.looseObject({})),
  tool_groups: z.array(z.looseObject({})),
}

/** The whole file, for editors and for the names of its keys; the loader reads it section by section. */
export const fileSchema = z.strictObject({
  version: z.literal([2, '2']).optional().describe('The format: 2.'),
  distro_name: z.string().nullish().describe("The distribution's name."),
  image_name: z.string().nullish().describe('The older name of `distro_name`.'),
  container_image: z.string().nullish().describe('Llama Stack only; no effect here.'),
  apis: z.array(z.string()).nullish().describe('The APIs to serve; absent or empty: all that have a provider.'),
  providers: z.record(z.string(), z.array(providerEntrySchema).nullish()).describe('API → its providers.'),
  registered_resources: registeredResourcesSchema.nullish(),
  models: z.array(registeredModelSchema).nullish().describe('The older place of `registered_resources.models`.'),
  server: serverSchema.nullish(),
  logging: loggingSchema.nullish(),
  telemetry: telemetrySchema.nullish().describe('Traces and metrics.'),
  storage: storageSchema.nullish().describe('Where data lies.'),
  metadata_store: legacyStoreSchema.nullish().describe('The older place of `storage`.'),
  inference_store: legacyStoreSchema.nullish(),
  conversations_store: legacyStoreSchema.nullish(),
  external_providers_dir: z.string().nullish().describe('Llama Stack only (Python); no effect here. See `module`.'),
  external_apis_dir: z.string().nullish().describe('Llama Stack only (Python); no effect here.'),
  ...Object.fromEntries(Object.entries(unusedSections).map(([key, schema]) => [key, schema.nullish()])),
})

/** Every API name that a file of either generation may hold. */
export const knownApis = [
  'inference',
  'models',
  'responses',
  'conversations',
  'messages',
  'interactions',
  'files',
  'file_processors',
  'vector_io',
  'vector_stores',
  'batches',
  'prompts',
  'safety',
  'shields',
  'tools',
  'tool_runtime',
  'tool_groups',
  'connectors',
  'inspect',
  'providers',
  'admin',
  'agents',
  'telemetry',
  'eval',
  'benchmarks',
  'scoring',
  'scoring_functions',
  'datasets',
  'datasetio',
  'post_training',
  'synthetic_data_generation',
  'vector_dbs',
  'rag_tool',
  'skills',
  'containers',
] as const

/** Served by Corral itself, without a provider. */
export const builtInApis: readonly string[] = ['models', 'inspect', 'providers', 'admin', 'telemetry']

/** Whether a key of `server`, or of the top level, is named like a setting that protects or a section of Corral's own: unknown, it is never left out. */
export function protects(key: string): boolean {
  return /^(auth(?!ors?$)|tenan|quota|egress|audit|m?tls|key_pepper)|(auth|tenancy|quotas?|polic(y|ies))$/i.test(key)
}

/** Whether a key names a policy, which protects only in `server.auth`. */
export function isPolicy(key: string): boolean {
  return /^(access|route)[_-]?polic(y|ies)$/i.test(key)
}

/** Keys that mean nothing here and that files carry all the same. */
export const silentKeys: readonly string[] = ['container_image', 'docker_image', 'built_at', 'image_type']
