import { z } from 'zod'
import { sslModes } from '../storage/config.ts'

const secretText = z.string().nullish()
const namespace = z.string().nullish()
const port = (defaultValue: number) => z.int().min(1).max(65_535).default(defaultValue)
const postgres = {
  connection_string: secretText.describe(
    '`postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE`, in place of `host`, `port`, `db`, `user` and `password`.',
  ),
  host: z.string().default('localhost'),
  port: port(5432),
  db: z.string().nullish(),
  user: z.string().nullish(),
  password: secretText,
  schema: z.string().min(1).nullish().describe("The schema for Corral's tables, created if absent. Default: the user's search path."),
  ssl_mode: z.enum(sslModes).nullish().describe("libpq's; absent: prefer."),
  ca_cert_path: z.string().nullish().describe('PEM file of the authority that signed the server’s certificate.'),
  pool_size: z.int().min(1).max(1000).default(10).describe('Max connections of one process.'),
  max_overflow: z.int().min(0).nullish().describe('No effect here.'),
  pool_recycle: z.int().nullish().describe('No effect here.'),
  pool_pre_ping: z.boolean().nullish().describe('No effect here.'),
  command_timeout: z.number().nullish().describe('No effect here.'),
  table_name: z.string().nullish(),
  namespace,
}
const redis = {
  host: z.string().default('localhost'),
  port: port(6379),
  user: z.string().nullish(),
  password: secretText,
  tls: z.boolean().nullish(),
}

const backends = [
  z.strictObject({ type: z.literal('kv_sqlite'), db_path: z.string().min(1, 'must not be empty'), namespace }),
  z.strictObject({ type: z.literal('kv_redis'), ...redis, namespace }),
  z.strictObject({ type: z.literal('kv_postgres'), ...postgres }),
  z.strictObject({
    type: z.literal('kv_mongodb'),
    host: z.string().default('localhost'),
    port: port(27_017),
    db: z.string().nullish(),
    user: z.string().nullish(),
    password: secretText,
    collection_name: z.string().nullish(),
    namespace,
  }),
  z.strictObject({ type: z.literal('sql_sqlite'), db_path: z.string().min(1, 'must not be empty') }),
  z.strictObject({ type: z.literal('sql_postgres'), ...postgres }),
] as const
const backendTypes = backends.map((backend) => backend.shape.type.value)

/** One entry of `storage.backends`, by its `type` (behaviour: "Storage"). */
export const backendSchema = z.discriminatedUnion('type', backends, { error: () => `must be one of ${backendTypes.join(', ')}` })

/** One entry of `storage.stores`. Whether its backend is a `kv_*` or a `sql_*` one makes no difference: releases differ in it. */
export const storeSchema = z.strictObject({
  backend: z.string().describe('A name of `storage.backends`.'),
  namespace: z.string().nullish(),
  table_name: z.string().nullish(),
  max_write_queue_size: z.int().min(1).nullish(),
  num_writers: z.int().min(1).nullish(),
  enabled: z.boolean().nullish(),
})

export const storeNames = ['metadata', 'inference', 'conversations', 'responses', 'prompts', 'connectors', 'vector_stores'] as const

export const storageSchema = z.strictObject({
  backends: z.record(z.string(), backendSchema).nullish().describe('Databases by name.'),
  stores: z.partialRecord(z.enum(storeNames), storeSchema.nullish()).nullish().describe('Which backend each store uses.'),
})

/** The older `metadata_store` and its like: the entry itself contains the location of the data. */
const inlineStore = z.looseObject({
  type: z.enum([
    'sqlite',
    'postgres',
    'redis',
    'mongodb',
    'sql_sqlite',
    'sql_postgres',
    'kv_sqlite',
    'kv_redis',
    'kv_postgres',
    'kv_mongodb',
  ]),
})

export const legacyStoreSchema = z.union([
  inlineStore,
  z.looseObject({ sql_store_config: inlineStore, max_write_queue_size: z.int().nullish(), num_writers: z.int().nullish() }),
])

const modelReference = z.strictObject({
  provider_id: z.string().nullish(),
  model_id: z.string(),
  embedding_dimensions: z.int().min(1).nullish(),
})
const share = z.number().min(0).max(1)

/** `vector_stores:`: defaults of searching and ingesting. */
export const vectorStoresSchema = z.strictObject({
  default_provider_id: z.string().nullish(),
  default_embedding_model: modelReference.nullish(),
  default_reranker_model: modelReference.nullish(),
  rewrite_query_params: z
    .strictObject({
      model: modelReference.nullish(),
      prompt: z.string().includes('{query}', 'must contain {query}').nullish(),
      max_tokens: z.int().min(1).max(4096).nullish(),
      temperature: z.number().min(0).max(2).nullish(),
    })
    .nullish(),
  file_search_params: z
    .strictObject({
      header_template: z
        .string()
        .includes('{num_chunks}', 'must contain {num_chunks}')
        .includes('file_search', 'must contain file_search')
        .nullish(),
      footer_template: z.string().nullish(),
    })
    .nullish(),
  context_prompt_params: z
    .strictObject({
      chunk_annotation_template: z
        .string()
        .includes('{chunk.content}', 'must contain {chunk.content}')
        .includes('{index}', 'must contain {index}')
        .nullish(),
      context_template: z.string().includes('{query}', 'must contain {query}').nullish(),
    })
    .nullish(),
  annotation_prompt_params: z
    .strictObject({
      enable_annotations: z.boolean().nullish(),
      annotation_instruction_template: z.string().nullish(),
      chunk_annotation_template: z
        .string()
        .includes('{index}', 'must contain {index}')
        .includes('{chunk_text}', 'must contain {chunk_text}')
        .includes('{file_id}', 'must contain {file_id}')
        .nullish(),
    })
    .nullish(),
  file_ingestion_params: z
    .strictObject({ default_chunk_size_tokens: z.int().min(1).nullish(), default_chunk_overlap_tokens: z.int().min(0).nullish() })
    .nullish(),
  chunk_retrieval_params: z
    .strictObject({
      chunk_multiplier: z.number().positive().nullish(),
      max_tokens_in_context: z.int().min(1).nullish(),
      default_reranker_strategy: z.string().nullish(),
      rrf_impact_factor: z.number().positive().nullish(),
      weighted_search_alpha: share.nullish(),
      default_search_mode: z.enum(['vector', 'keyword', 'hybrid']).nullish(),
    })
    .nullish(),
  file_batch_params: z
    .strictObject({
      max_concurrent_files_per_batch: z.int().min(1).nullish(),
      file_batch_chunk_size: z.int().min(1).nullish(),
      cleanup_interval_seconds: z.int().min(1).nullish(),
    })
    .nullish(),
  contextual_retrieval_params: z
    .strictObject({
      model: modelReference.nullish(),
      default_timeout_seconds: z.int().min(10).nullish(),
      default_max_concurrency: z.int().min(1).nullish(),
      max_document_tokens: z.int().min(1000).nullish(),
    })
    .nullish(),
})
