/**
 * How servers call the most tokens of an answer. Which of them one heeds where several are there is its own affair: for llama.cpp `n_predict` beats
 * `max_tokens`.
 */
export const maxTokenFields = [
  'max_completion_tokens',
  'max_tokens',
  'max_output_tokens',
  'max_new_tokens',
  'n_predict',
  'num_predict',
] as const

/** How they call the number of answers. */
export const choiceCountFields = ['n', 'best_of', 'n_cmpl'] as const
