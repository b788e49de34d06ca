"""The pipelines of audits and attacks, and the stages that they consist of."""
