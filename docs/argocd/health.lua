-- Health of UpstreamParams and ClusterAuth0Tenant (upstreamparams.dev). Both kinds follow kstatus, so this is also what
-- Flux and `helm --wait` say. While an object is being deleted, Argo CD reports Progressing without asking this script.
local health = { status = "Progressing", message = "Waiting for the operator" }

local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local by_type = {}
for _, condition in ipairs(status.conditions or {}) do
  by_type[condition.type] = condition
end

local function told(condition)
  return condition.reason .. ": " .. condition.message
end

local ready, stalled, reconciling = by_type.Ready, by_type.Stalled, by_type.Reconciling

if ready ~= nil then
  health.message = told(ready)
end

if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = told(stalled)
elseif ready ~= nil and ready.status == "True" and not (reconciling ~= nil and reconciling.status == "True") then
  health.status = "Healthy"
  -- What does not make an object unready is worth reading all the same: a warning, drift that is only observed, a
  -- tenant that does not answer at the moment.
  for _, name in ipairs({ "Accepted", "Synced" }) do
    local condition = by_type[name]
    if condition ~= nil and (condition.status ~= "True" or condition.reason == "AcceptedWithWarnings") then
      health.message = told(condition)
    end
  end
end

return health
