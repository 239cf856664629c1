-- @MARK@
local qrmi = dofile(@QRMI_LUA@)
function slurm_job_submit(job) return qrmi.submit(job) end
function slurm_job_modify(job, record) return qrmi.modify(job, record) end
return slurm.SUCCESS
