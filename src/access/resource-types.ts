/**
 * The types of resources that a policy may speak of: those there are, and those that Llama Stack has, so that its files load. A type that
 * nobody knows is a slip, and a rule with a slip in it would never apply.
 */
export const resourceTypes = [
  'model',
  'api_key',
  // Whom a key of Corral's own may be made for by somebody else.
  'principal',
  // Of whoever asked; read with the scope telemetry.read.
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
