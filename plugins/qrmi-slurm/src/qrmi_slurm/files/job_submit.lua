-- @MARK@
-- Read for each job: slurmctld reads this file anew when it has changed, and no other.
local function qrmi() return dofile(@QRMI_LUA@) end
function slurm_job_submit(job) return qrmi().submit(job) end
function slurm_job_modify(job, record) return qrmi().modify(job, record) end
return slurm.SUCCESS
