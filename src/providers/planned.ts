import type { PlannedProvider } from './provider.ts'

const notServedYet = 'not served yet.'

/** Type names by API, of one reason. */
function types(api: string, names: readonly string[], planned: string = notServedYet): PlannedProvider[] {
  return names.map((type) => ({ api, type, planned }))
}

const removedUpstream = 'Removed from Llama Stack; accepted so that older files load, but not served.'

/** Every other type that Llama Stack's and OGX's registries name, old and new: a file that uses them loads, with a warning for each. */
export const plannedProviders: readonly PlannedProvider[] = [
  ...types('inference', ['remote::vertexai'], 'Vertex AI is not served yet; remote::gemini reaches the same models with a Gemini key.'),
  ...types('inference', ['remote::oci'], 'Oracle Cloud needs signed requests, which are not served yet.'),
  ...types(
    'inference',
    ['inline::sentence-transformers', 'inline::transformers'],
    'runs in Python only; inline::llama-cpp, a local server or a hosted provider can be used instead.',
  ),
  ...types('inference', ['inline::meta-reference', 'inline::vllm'], 'runs in Python only; use remote::vllm or remote::ollama instead.'),
  ...['groq', 'together', 'fireworks', 'cerebras', 'sambanova'].flatMap((vendor) =>
    types(
      'inference',
      [`remote::${vendor}-openai-compat`],
      `Removed from Llama Stack; use remote::${vendor}, which serves the same models.`,
    ),
  ),
  ...types('vector_io', [
    'inline::faiss',
    'inline::meta-reference',
    'inline::sqlite-vec',
    'inline::sqlite_vec',
    'inline::chromadb',
    'inline::qdrant',
    'inline::milvus',
    'remote::chromadb',
    'remote::pgvector',
    'remote::weaviate',
    'remote::qdrant',
    'remote::milvus',
    'remote::elasticsearch',
    'remote::oci',
    'remote::infinispan',
    'remote::neo4j',
  ]),
  ...types('files', ['inline::localfs', 'remote::s3', 'remote::openai']),
  ...types('file_processors', [
    'inline::auto',
    'inline::pypdf',
    'inline::markitdown',
    'inline::docling',
    'inline::unstructured',
    'remote::docling-serve',
    'remote::unstructured-api',
  ]),
  ...types('safety', [
    'inline::llama-guard',
    'inline::prompt-guard',
    'inline::code-scanner',
    'remote::bedrock',
    'remote::nvidia',
    'remote::sambanova',
    'remote::passthrough',
  ]),
  ...types('tool_runtime', [
    'inline::rag-runtime',
    'inline::file-search',
    'remote::brave-search',
    'remote::bing-search',
    'remote::tavily-search',
    'remote::exa-search',
    'remote::nimble-search',
    'remote::serply-search',
    'remote::wolfram-alpha',
    'remote::model-context-protocol',
  ]),
  ...types('batches', ['inline::reference']),
  ...types('responses', ['inline::builtin', 'inline::meta-reference']),
  ...types('messages', ['inline::builtin']),
  ...types('interactions', ['inline::builtin']),
  ...types('skills', ['inline::builtin']),
  ...types('agents', ['inline::meta-reference', 'inline::builtin']),
  ...types(
    'telemetry',
    ['inline::meta-reference'],
    'Removed from Llama Stack; configure OpenTelemetry by its standard environment variables.',
  ),
  ...types('eval', ['inline::meta-reference', 'inline::builtin', 'remote::nvidia'], removedUpstream),
  ...types('scoring', ['inline::basic', 'inline::llm-as-judge', 'inline::braintrust'], removedUpstream),
  ...types('datasetio', ['inline::localfs', 'remote::huggingface', 'remote::nvidia'], removedUpstream),
  ...types(
    'post_training',
    [
      'inline::torchtune',
      'inline::torchtune-cpu',
      'inline::torchtune-gpu',
      'inline::huggingface',
      'inline::huggingface-cpu',
      'inline::huggingface-gpu',
      'remote::nvidia',
    ],
    removedUpstream,
  ),
]
