/**
 * The types of resources that a policy may speak of: those there are, and those that Llama Stack has, so that its files load. An unknown type
 * is an error: its rule would never apply.
 */
export const resourceTypes = [
  'model',
  'api_key',
  // The principal of an API key that another principal creates.
  'principal',
  // Owned by the principal of the request; read with the scope telemetry.read.
  'trace',
  'vector_store',
  'vector_store_file',
  'vector_store_file_batch',
  'file',
  'response',
  'conversation',
  'conversation_item',
  'chat_completion',
  'batch',
  'prompt',
  'connector',
  'shield',
  'tool',
  'tool_group',
  'vector_db',
  'dataset',
  'scoring_function',
  'benchmark',
  'sql_record',
] as const
