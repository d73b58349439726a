/**
 * How OpenAI-compatible servers call the maximum number of output tokens. Which one applies where there are several depends on the server: for llama.cpp
 * `n_predict` overrides `max_tokens`.
 */
export const maxTokenFields = [
  'max_completion_tokens',
  'max_tokens',
  'max_output_tokens',
  'max_new_tokens',
  'n_predict',
  'num_predict',
] as const

/** How they call the number of choices. */
export const choiceCountFields = ['n', 'best_of', 'n_cmpl'] as const

export const openaiGovernedFields: readonly string[] = [
  'model',
  'model_id',
  'messages',
  'prompt',
  'input',
  'tools',
  'functions',
  ...choiceCountFields,
  ...maxTokenFields,
  'stream',
  'stream_options',
  'encoding_format',
]
