# CMAKE_CUDA_ARCHITECTURES: of the GPUs we serve, those that this nvcc knows; machine code for each, and PTX of
# the last, which drivers translate for GPUs to come. The Jetsons among them: 87 is Orin, 110 is Thor, which CUDA
# 12 called 101.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  execute_process(COMMAND ${EDGEVISION_NVCC} --list-gpu-arch OUTPUT_VARIABLE known COMMAND_ERROR_IS_FATAL ANY)
  set(CMAKE_CUDA_ARCHITECTURES)
  foreach(architecture IN ITEMS 75 80 86 87 89 90 100 101 110 120)
    if(known MATCHES "compute_${architecture}\n")
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
      set(last ${architecture})
    endif()
  endforeach()
  list(APPEND CMAKE_CUDA_ARCHITECTURES ${last}-virtual)
endif()
message(STATUS "CUDA architectures: ${CMAKE_CUDA_ARCHITECTURES}")
